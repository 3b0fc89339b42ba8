"""Settings."""

from dataclasses import dataclass
from typing import Annotated, Literal

from ddjax.cli.settings import Count, Positive, Range, Seed
from experiments.common.settings import Study


@dataclass(frozen=True)
class Config(Study):
    """Walk an SDE, its reverse and its probability flow on exact scores, in 1-D and 2-D; compare marginals and joint laws.

    Writes summary.json, three_views.png, joint_laws.png, three_views.gif and report.html into --out. Exits 1 if a marginal leaves
    the floor by more than 4 standard deviations.

    Example: python -m experiments.three_views --rate linear --n 1000
    """

    rate: Literal["constant", "linear", "cosine"] = "constant"
    """How g grows over [0, 1]: constant; linear from .1; cosine, alpha a quarter circle (to t = .99, where alpha is .016)."""
    g: Positive = 10.0
    """The constant rate, or the last of the linear one."""
    n: Annotated[int, Range(500)] = 4000
    """Points of each draw of each view."""
    draws: Annotated[int, Range(4)] = 4
    """Independent draws of every view, behind each number: of fewer one leaves the floor by chance."""
    substeps: Count = 10
    """Heun's steps between each two of 49 times, of which 9 are judged."""
    repeats: Annotated[int, Range(16)] = 16
    """Pairs of true samples behind each floor: of fewer its deviation is no gate."""
    seed: Seed = 0
    """Of all random numbers."""

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once: three views at 49 times, in the plane, of every draw."""
        return {("n", "draws"): 3 * 49 * 2 * self.n * self.draws}
