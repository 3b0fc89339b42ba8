"""Experiments, run from a checkout: `python -m experiments` lists them.

Each is a folder and a command of its name, `python -m experiments.two_gaussians`; common/ holds what several share.
"""

import sys

if sys.argv[:1] == ["-m"]:  # python -m is about to look for a module of this package
    from experiments.common import commands

    commands.require(sys.orig_argv)
