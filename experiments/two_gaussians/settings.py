"""Settings."""

from dataclasses import dataclass
from typing import Annotated

from ddjax import cli
from ddjax.cli.settings import Count, Fraction, Positive, Range
from ddjax.recipes import Mlp
from experiments.common.settings import Scored


@dataclass(frozen=True)
class Config(Scored, Mlp):
    """Train distributional diffusion (DDM) and x_0 regression on two Gaussians, judge both at 1 to 32 steps.

    Writes config.yaml, metrics.jsonl, summary.json, figures, report.html and checkpoints into --out.

    Example: python -m experiments.two_gaussians --steps 500 --out runs/short
    """

    clip: Positive | None = 1.0
    churn: tuple[Fraction, ...] = (0.0, 1.0)
    """Noise of the bridge sampler: 0 is DDIM, 1 is DDPM."""
    samples: Annotated[int, Range(2)] = 10_000
    """Points for each measured distance."""
    repeats: Count = 2
    """Fresh draws for each seed behind each number; those that the report begins with have 8 or more."""
    full: bool = False
    """The full protocol: beta .1, .5, 1 and 1.5, three seeds, 4,000 steps (explicit flags still win)."""

    def check(self) -> None:
        """Raises: UserError for settings that do not go together."""
        super().check()
        if self.inject >= self.depth:
            raise cli.UserError(f"--inject must name a hidden layer, 0 to {self.depth - 1}, got {self.inject}")

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once."""
        return super().floats() | {("samples",): 4 * self.samples}


PRESETS = {"full": {"beta": (0.1, 0.5, 1.0, 1.5), "seeds": 3, "steps": 4000}}
