"""Experiments, run from a checkout: `python -m experiments` lists them.

Families of models lie in families/, measurements without one in studies/: each is a command of its own name,
`python -m experiments.two_gaussians`, `python -m experiments.limits`.
"""

import sys
from pathlib import Path

__path__ += [str(Path(__file__).parent / room) for room in ("families", "studies")]

if sys.argv[:1] == ["-m"]:  # python -m is about to look for a module of this package
    from experiments import commands

    commands.require(sys.orig_argv)
