"""Settings."""

from dataclasses import dataclass
from typing import Annotated

from ddjax.cli.settings import Range, Steps


@dataclass(frozen=True)
class Config:
    """Print what a wrong bridge coefficient, a pair factor divided twice and an epsilon inside a power cost.

    Example: python -m experiments.traps --n 2000
    """

    n: Annotated[int, Range(2)] = 10_000
    """Points for each distance."""
    nfe: tuple[Steps, ...] = (4, 8, 16, 64)
    """Numbers of steps for the bridge."""
    population: Annotated[int, Range(2)] = 8
    """Draws m of the pair factor."""

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once: two sets of points in the plane."""
        return {("n",): 4 * self.n}
