"""Settings."""

from dataclasses import dataclass
from typing import Annotated

from ddjax.cli.settings import Range
from experiments.common.settings import Study


@dataclass(frozen=True)
class Config(Study):
    """Score ensembles of a tracer that winds carry over a torus, whose law is known, by rules of pixels, patches and maps.

    Beside draws of the true law, which the observation is one of: draws of independent pixels, draws shuffled at each place,
    too narrow, displaced by a biased wind, and smoothed. One table: the excess of each rule's score over that of the true
    law in standard errors. Exits 1 if fresh draws of the true law differ by more than 4.

    Example: python -m experiments.forecast --members 8
    """

    n: Annotated[int, Range(100)] = 400
    """Forecasts, each with an analysis and an observation of its own."""
    members: Annotated[int, Range(2)] = 8
    """Draws of each ensemble."""

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers in memory at once: seven ensembles of 16 x 16 pixels, the differences of one rule, fields of single pixels."""
        return {("n", "members"): 256 * 24 * self.n * self.members, ("members",): 256 * 256 * 8 * self.members}
