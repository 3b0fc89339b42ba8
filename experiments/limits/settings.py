"""Settings."""

from dataclasses import dataclass
from typing import Annotated

from ddjax.cli.settings import Fraction, Range, Steps


@dataclass(frozen=True)
class Config:
    """Print the oracle ladder: MMD^2 of both oracles at 1 to 64 steps, in units of the floor too. Exits 1 if the exact
    sampler leaves the floor by more than 4 standard deviations anywhere.

    Example: python -m experiments.limits --nfe 1 2 4
    """

    n: Annotated[int, Range(2)] = 10_000
    """Points for each distance."""
    nfe: tuple[Steps, ...] = (1, 2, 4, 8, 16, 32, 64)
    """Numbers of steps."""
    churn: tuple[Fraction, ...] = (0.0, 0.5, 1.0)
    """Noise of the bridge."""
    repeats: Annotated[int, Range(16)] = 16
    """Pairs of true samples behind each floor: of fewer its deviation is no gate."""

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once: two sets of points in three dimensions."""
        return {("n",): 6 * self.n}
