"""The curse of conditions: eight Gaussians to two moons, with and without a condition, under three couplings.

Protocol of Cheng and Schwing, arXiv 2503.10636, figure 1: MLP 3 x 128, Adam 3e-4, batch 256; sampled by one Euler step and
by an adaptive solver. Theirs trains 20,000 steps and couples batches of 1,024; here the training batch itself is coupled.
"""

from dataclasses import dataclass
from typing import Annotated

from experiments import cli, engine
from experiments.settings import Count, FileToRead, Fraction, Multiple, NonNegative, Positive, Range, Seeds


@dataclass(frozen=True)
class Config(engine.Engine):
    """Train {no, class, x} condition x {independent, OT, condition-aware OT} and print W_2 of each.

    Minibatch OT that does not see the condition makes the start depend on it, and sampling does not: the model is wrong by
    construction, however long it trains. Writes summary.json, flows.png, report.html and checkpoints into --out.
    """

    seeds: Seeds = 2
    """Number of seeds, 0 to seeds - 1."""
    steps: Count = 4000
    """Training steps of each model."""
    batch: Count = 256
    """Examples for each training step, and for each coupling."""
    learning_rate: Positive = 3e-4
    """Rate of Adam, constant."""
    noise: NonNegative = 0.2
    """Standard deviation around the moons, before they are scaled to 3 x - 1."""
    share: Fraction = 0.99
    """Share of pairs that keep their x condition (condition-aware OT for a continuous condition)."""
    samples: Annotated[int, Multiple(2)] = 1000
    """Points of each W_2, half for each moon."""
    repeats: Annotated[int, Range(2)] = 4
    """Draws behind each number, and pairs behind each floor."""
    tolerance: Positive = 1e-3
    """Tolerance of the adaptive solver."""
    save_every: Annotated[int, Multiple(100)] = 1000
    """Training steps between checkpoints."""
    full: bool = False
    """The published budget: 20,000 steps, 5 seeds (explicit flags still win)."""
    config: FileToRead | None = None
    """A YAML file of settings named as the flags; the command line wins over it."""

    def floats(self) -> dict[tuple[str, ...], float]:
        """Numbers that must be in memory at once: a cost matrix."""
        return {("batch",): self.batch**2, ("samples",): self.samples**2}


PRESETS = {"full": {"steps": 20_000, "seeds": 5}}


def run(config: Config) -> None:
    """Train, judge, write the report, print the table."""
    engine.start(config)
    from experiments.conditional import run

    run.run(config)


if __name__ == "__main__":
    cli.main(Config, run, presets=PRESETS)
