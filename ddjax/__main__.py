"""The command of the installed package: `ddjax sample RUN`, `export RUN`, `info RUN`, `fetch NAME`."""

import difflib
import importlib
import sys
from collections.abc import Sequence

from ddjax import __version__, cli

HELP = """\
usage: ddjax COMMAND [RUN|NAME] [--flags]        (each command has --help)

  ddjax sample RUN      draw samples from a trained model of a saved run into a .npz file
  ddjax export RUN      a trained model as files that need neither the run nor flax
  ddjax info RUN        settings, checkpoints, numbers and provenance of a run
  ddjax fetch NAME      download MNIST, Fashion-MNIST or CIFAR-10, with resume and checksums
  ddjax --version

RUN is the folder that a training command wrote, with its config.yaml.
"""
COMMANDS = ("sample", "export", "info", "fetch")


@cli.printed()
def main(argv: Sequence[str] | None = None) -> None:
    """Run a command, as `python -m ddjax` does too; exit code 2 after a user's mistake."""
    name, *words = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("--help", "-h", "help"):
        print(HELP, end="")
    elif name == "--version":
        print(f"ddjax {__version__}")
    elif name in COMMANDS:
        command = importlib.import_module(f"ddjax.commands.{name}")
        if name != "fetch" and words and not words[0].startswith("-"):
            words = ["--run", *words]
        cli.main(command.Config, command.run, program=f"ddjax {name}", words=words)
    else:
        near = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.0)[0]
        print(f"error: unknown command {name!r}; did you mean ddjax {near}?", file=sys.stderr)
        raise SystemExit(2)


if __name__ == "__main__":
    main()
