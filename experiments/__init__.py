"""Experiments, run from a checkout: `python -m experiments` lists them.

Families of models lie in families/: each is a command of its own name, `python -m experiments.two_gaussians`.
"""

from pathlib import Path

__path__.append(str(Path(__file__).parent / "families"))
