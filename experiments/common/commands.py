"""Which modules of experiments are commands; the others say so when they are started as one."""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
_STARTS, _PARSES = '\nif __name__ == "__main__"', "\n    cli.main("  # a worker starts too, for a command alone


def named() -> list[str]:
    """The names of all commands, as `python -m` takes them."""
    files = [file for file in sorted(ROOT.rglob("*.py")) if _PARSES in file.read_text(encoding="utf-8")]
    parts = [file.relative_to(ROOT).with_suffix("").parts for file in files]
    return [".".join(["experiments", *(p for p in of if p != "__main__")]) for of in parts]


def require(words: list[str]) -> None:
    """Where `python -m` was given a module of experiments that is no command: one line, and exit code 2.

    Args:
        words: of the whole command line, the interpreter's own among them (`sys.orig_argv`).
    """
    name = words[words.index("-m") + 1] if "-m" in words[:-1] else ""
    found = importlib.util.find_spec(name) if name.startswith("experiments.") else None
    if found is None or found.origin is None:
        return
    file = Path(found.origin)
    file = file.with_name("__main__.py") if file.name == "__init__.py" else file
    if not (file.exists() and _STARTS in file.read_text(encoding="utf-8")):
        told = ", ".join(one.removeprefix("experiments.") for one in named())
        print(f"error: {name} is no command; commands of experiments are {told}", file=sys.stderr)
        raise SystemExit(2)
