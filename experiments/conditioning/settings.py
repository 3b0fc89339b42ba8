"""Settings."""

from dataclasses import dataclass
from typing import Annotated

from ddjax.cli.settings import Count, Range
from experiments.common.settings import Study


@dataclass(frozen=True)
class Config(Study):
    """Compare ways to sample given y on two Gaussians with the exact posterior of x_0, at 1, 2, 4 and 8 steps.

    `samplers.conditioned` keeps one of M draws by its likelihood, `samplers.particles` corrects between the examples, and
    `samplers.plugged_in` is diffusion posterior sampling with the exact mean. Tables: the share of the component at y against
    the exact one, W_1 along the measured coordinate against its floor, and the effective size of the draws.

    Example: python -m experiments.conditioning --out runs/conditioning
    """

    draws: tuple[Count, ...] = (4, 16, 64)
    """Draws M of each example for `conditioned`."""
    few: tuple[Count, ...] = (1, 4, 16)
    """Draws of each particle."""
    n: Annotated[int, Range(100)] = 10_000
    """Samples behind each number, and draws of the exact law to compare with."""
    repeats: Annotated[int, Range(5)] = 5
    """Runs with fresh noise behind each number and its standard error."""

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once: the draws of all examples."""
        return {("n", "draws"): 8 * self.n * max(self.draws), ("n", "few"): 8 * self.n * max(self.few)}
