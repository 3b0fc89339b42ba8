"""Settings."""

from dataclasses import dataclass
from typing import Annotated, Literal

from ddjax import cli
from ddjax.cli.settings import Count, Depth, NonNegative, Positive, Range, Seeds, Steps
from ddjax.recipes import Mlp
from experiments.common.settings import Training


@dataclass(frozen=True)
class Config(Training, Mlp):
    """Train inflationary flows on a toy in the plane or on digits; inflate, generate, go there and back, and report.

    Toys are standardised by axis. Writes config.yaml, metrics.jsonl, summary.json, figures, report.html and checkpoints into --out.

    Example: python -m experiments.inflation --data moons --steps 500
    """

    data: Literal["circles", "sine", "moons", "s_curve", "swirl", "digits"] = "moons"
    """A toy in the plane, or scikit-learn's digits of 8 x 8 pixels."""
    keep: tuple[Annotated[int, Range(0)], ...] = (0, 1)
    """Directions that a flow keeps, one model for each; 0 preserves the participation ratio instead."""
    gap: tuple[Annotated[float, Range(0, 2, "(]")], ...] = (1.0,)
    """By how much slower than the kept directions, at 2, the others grow; one model for each. 1 for toys, .02 for images."""
    gamma: Positive = 5e-4
    """Noise at t = 0, in units of each variance: without it the score is infinite there."""
    preconditioning: Literal["anisotropic", "edm", "eigen_edm"] = "anisotropic"
    """What keeps the network at unit variance: each direction by its own numbers, all by one, or by one beside each noise."""
    space: Literal["eigen", "data"] = "eigen"
    """Where the network lives."""
    time_law: Literal["quadratic", "uniform", "normal"] = "quadratic"
    """Training times: u squared with uniform u, uniform, or the paper's N(12, 1.2) in units of the growth rate, to 15.01."""
    method: Literal["euler", "heun", "rk4"] = "heun"
    """Of the way up and down; samples by number of steps are Heun's."""
    nfe: tuple[Steps, ...] = (8, 32, 64)
    """Numbers of solver's steps to generate in; inflations and round trips take the largest."""
    seeds: Seeds = 3
    steps: Count = 15_000
    depth: Depth = 3
    """Number of hidden layers."""
    learning_rate: Positive = 2e-3
    """Peak rate of AdamW, after a warm-up and before a cosine decay to 1 percent."""
    warmup: Annotated[int, Range(0)] | None = 100
    samples: Annotated[int, Range(1000)] = 10_000
    """Points that are inflated and generated; of digits, at most as many as there are."""
    least: NonNegative = 1e-3
    """Of digits: variances below this share of the largest are raised to it, for pixels that never change."""
    repeats: Annotated[int, Range(5)] = 8
    """Pairs of fresh true samples behind the floor."""

    def check(self) -> None:
        """Raises: UserError for more directions than the data have, or all of them."""
        super().check()
        d = 64 if self.data == "digits" else 2
        if max(self.keep) > d:
            raise cli.UserError(f"--keep lies in 0..{d}, the directions of {self.data}, got {max(self.keep)}")

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once: seven clouds, and what the net makes of one."""
        return super().floats() | {("samples", "width"): self.samples * (14 + self.width)}
