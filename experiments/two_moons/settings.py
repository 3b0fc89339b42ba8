"""Settings."""

from dataclasses import dataclass
from typing import Annotated, Literal

from ddjax.cli.settings import Count, Fraction, NonNegative, Positive, Range, Seeds, Steps
from experiments.common.settings import Sampled


@dataclass(frozen=True)
class Config(Sampled):
    """Train the models of the two-moons page and judge them at 1 to 50 steps.

    1: time concatenated. 2: sinusoidal time. 3: minibatch OT coupling. 4: class-conditional with guidance, for independent,
    label-blind and class-aware coupling. ddm: distributional diffusion. Writes config.yaml, metrics.jsonl, watched.jsonl,
    summary.json, figures, flow.gif, report.html and checkpoints into --out.

    Example: python -m experiments.two_moons --exp 3 ddm --seeds 2
    """

    exp: tuple[Literal["1", "2", "3", "4", "ddm", "all"], ...] = ("all",)
    """Experiments to run."""
    seeds: Seeds = 3
    steps: Count = 10_000
    batch: Count = 256
    noise: NonNegative = 0.03
    """Standard deviation of the noise around the moons."""
    depth: Annotated[int, Range(2, 1000)] = 3
    """Number of hidden layers; xi joins the second."""
    learning_rate: Positive = 2e-3
    """Rate of AdamW, constant."""
    weight_decay: NonNegative = 0.01
    """Decoupled weight decay."""
    dropout: Fraction = 0.1
    """Share of labels that experiment 4 hides from its net."""
    guidance: tuple[float, ...] = (1.0, 3.0)
    """Guidance weights w: 1 is conditional, above it pulls towards the class."""
    nfe: tuple[Steps, ...] = (1, 2, 5, 10, 50)
    samples: Annotated[int, Range(1000)] = 10_000
    """Points for each measured distance (W_1 takes blocks of 1,000 of them)."""
    blocks: Count = 2
    """Blocks of 1,000 points behind each W_1."""
    repeats: Annotated[int, Range(5)] = 8
    """Pairs of fresh true samples behind each floor."""

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once."""
        return super().floats() | {("samples",): 4 * self.samples, ("blocks",): 2000 * self.blocks}
