"""Experiments, run from a checkout: `python -m experiments` lists them.

Families of models lie in families/, measurements without one in studies/: each is a command of its own name,
`python -m experiments.two_gaussians`, `python -m experiments.limits`.
"""

from pathlib import Path

__path__ += [str(Path(__file__).parent / room) for room in ("families", "studies")]
