"""Settings."""

from dataclasses import dataclass
from typing import Annotated

from ddjax.cli.settings import Count, Depth, Fraction, Multiple, NonNegative, Positive, Range, Seeds
from ddjax.recipes import Mlp
from experiments.common.settings import Training


@dataclass(frozen=True)
class Config(Training, Mlp):
    """Train {no, class, x} condition x {independent, OT, condition-aware OT} and print W_2 of each.

    Minibatch OT that does not see the condition makes the start depend on it, and sampling does not: the model is wrong by
    construction, however long it trains. Writes summary.json, flows.png, report.html and checkpoints into --out.

    Example: python -m experiments.conditional_ot --steps 500 --out runs/conditions
    """

    seeds: Seeds = 2
    steps: Count = 4000
    batch: Count = 256
    """Examples for each training step, and for each coupling."""
    depth: Depth = 3
    learning_rate: Positive = 3e-4
    """Rate of Adam, constant."""
    noise: NonNegative = 0.2
    """Standard deviation around the moons, before they are scaled to 3 x - 1."""
    share: Fraction = 0.99
    """Share of pairs that keep their x condition (condition-aware OT for a continuous condition)."""
    samples: Annotated[int, Multiple(2)] = 1000
    """Points of each W_2, half for each moon."""
    repeats: Annotated[int, Range(5)] = 5
    """Draws behind each number, and pairs behind each floor."""
    tolerance: Positive = 1e-3
    """Tolerance of the adaptive solver."""
    full: bool = False
    """The published budget: 20,000 steps, 5 seeds (explicit flags still win)."""

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once: a cost matrix."""
        return super().floats() | {("batch",): self.batch**2, ("samples",): self.samples**2}


PRESETS = {"full": {"steps": 20_000, "seeds": 5}}
