"""Settings."""

from dataclasses import dataclass
from typing import Annotated

from ddjax import cli
from ddjax.cli.settings import Count, NonNegative, Positive, Range
from experiments.common.settings import Training


@dataclass(frozen=True)
class Config(Training):
    """Train DDM and regression on the embedded digits, and restore held-out ones: inpainting, deblurring, super-resolution.

    Tables: coverage of central intervals, ranks, energy score and misfit of every way to sample given y, at equal numbers of
    steps and of evaluations; conditioning by M draws in 1 to 8 steps, and by level of noise. Writes config.yaml, metrics.jsonl,
    summary.json, figures, report.html and checkpoints into --out.

    Example: python -m experiments.inverse_problems --out runs/inverse
    """

    noise: Positive = 0.5
    """Standard deviation of the measurement's noise; pixels are in [-1, 1]."""
    other_noise: tuple[Positive, ...] = (1.0,)
    """Further levels, for the table by noise."""
    draws: tuple[Annotated[int, Range(2)], ...] = (16, 64, 256)
    """Draws M of `samplers.conditioned` in the table by draws and steps."""
    digits: Annotated[int, Range(20, 240)] = 100
    """Held-out digits behind each number."""
    tuning: Annotated[int, Range(10, 120)] = 30
    """Other held-out digits, by which the scales of guidance are chosen."""
    points: Annotated[int, Range(100)] = 10_000
    """Samples behind each number of the two Gaussians."""
    steps: Count = 3000
    batch: Count = 256
    width: Count = 256
    learning_rate: Positive = 3e-3
    """Peak rate of AdamW, after a warm-up and before a cosine decay to 1 percent."""
    warmup: Annotated[int, Range(0)] | None = 200
    clip: Positive | None = 1.0
    weight_decay: NonNegative = 0.01

    def check(self) -> None:
        """Raises: UserError for more than one seed."""
        super().check()
        if self.seeds != 1:
            raise cli.UserError(f"inverse problems are judged with one seed, got --seeds {self.seeds}")

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """And the layers of one piece of the draws."""
        return super().floats() | {("draws", "width"): 4 * max(self.draws) * self.width}
