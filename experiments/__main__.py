"""The list of experiments."""

import difflib
import sys

from ddjax import cli
from experiments.common import commands

if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--help"], ["-h"]):
        near = difflib.get_close_matches(sys.argv[1], commands.NAMES, 1, 0.0)
        print(f"error: this lists the experiments; did you mean python -m experiments.{near[0]}?", file=sys.stderr)
        raise SystemExit(2)
    with cli.printed():
        print(commands.listing(), end="")
