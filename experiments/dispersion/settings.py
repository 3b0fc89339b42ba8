"""Settings."""

from dataclasses import dataclass
from typing import Annotated

from ddjax.cli.settings import Count, Range


@dataclass(frozen=True)
class Config:
    """Train a two-parameter denoiser (shrinkage and spread) with the library's own loss for each (lam, beta), and print
    its relative spread beside the closed form. Exits 1 if any is off by more than 3 percent.

    Example: python -m experiments.dispersion --lam 0.5 1 --beta 1
    """

    lam: tuple[Annotated[float, Range(0, 1, "(]")], ...] = (0.25, 0.5, 1.0)
    """Interaction weights."""
    beta: tuple[Annotated[float, Range(0, 2, "()")], ...] = (0.5, 1.0)
    """Exponents of the energy score."""
    steps: Count = 2000
    """Training steps for each pair."""
    batch: Count = 2048
    """Examples for each step."""

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once."""
        return {("batch",): 2 * self.batch}
