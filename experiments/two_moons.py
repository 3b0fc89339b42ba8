"""Flow matching on two moons, step by step: concatenated and sinusoidal time, optimal-transport coupling, classes with
guidance, and distributional diffusion on the same net and budget.

Expected with the defaults: experiments 1 to 3 at the floor of W_1 at 50 steps; losses .92 to .97 with independent pairs
and below .04 with coupled ones; at 1 step only the coupled flow and DDM draw moons.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from experiments import cli, engine
from experiments.settings import (
    Count,
    Decay,
    FileToRead,
    Fraction,
    Multiple,
    NonNegative,
    Positive,
    Range,
    Seeds,
    Steps,
)


@dataclass(frozen=True)
class Config(engine.Engine):
    """Train the models of the two-moons page and judge them at 1 to 50 steps.

    1: time concatenated. 2: sinusoidal time. 3: minibatch OT coupling. 4: class-conditional with guidance, for independent,
    label-blind and class-aware coupling. ddm: distributional diffusion. Writes config.yaml, metrics.jsonl, watched.jsonl,
    summary.json, figures, flow.gif, report.html and checkpoints into --out.
    """

    exp: tuple[Literal["1", "2", "3", "4", "ddm", "all"], ...] = ("all",)
    """Experiments to run."""
    seeds: Seeds = 3
    """Number of seeds, 0 to seeds - 1."""
    steps: Count = 10_000
    """Training steps of each model."""
    batch: Count = 256
    """Examples for each training step."""
    noise: NonNegative = 0.03
    """Standard deviation of the noise around the moons."""
    width: Count = 128
    """Width of the hidden layers."""
    depth: Annotated[int, Range(2, 1000)] = 3
    """Number of hidden layers; xi joins the second."""
    learning_rate: Positive = 2e-3
    """Rate of AdamW, constant."""
    weight_decay: NonNegative = 0.01
    """Decoupled weight decay."""
    ema_decay: Decay = 0.999
    """Decay of the averaged parameters that are sampled from."""
    population: Annotated[int, Range(2)] = 4
    """Draws m of DDM for each example."""
    dropout: Fraction = 0.1
    """Share of labels that experiment 4 hides from its net."""
    guidance: tuple[float, ...] = (1.0, 3.0)
    """Guidance weights w: 1 is conditional, above it pulls towards the class."""
    nfe: tuple[Steps, ...] = (1, 2, 5, 10, 50)
    """Numbers of sampling steps to judge."""
    samples: Annotated[int, Range(1000)] = 10_000
    """Points for each measured distance (W_1 takes blocks of 1,000 of them)."""
    blocks: Count = 2
    """Blocks of 1,000 points behind each W_1."""
    repeats: Annotated[int, Range(2)] = 8
    """Pairs of fresh true samples behind each floor."""
    save_every: Annotated[int, Multiple(100)] = 1000
    """Training steps between checkpoints and points of the metrics plot."""
    config: FileToRead | None = None
    """A YAML file of settings named as the flags; the command line wins over it."""

    def floats(self) -> dict[tuple[str, ...], float]:
        """Numbers that must be in memory at once."""
        return engine.floats(self) | {("samples",): 4 * self.samples, ("blocks",): 2000 * self.blocks}


def run(config: Config) -> None:
    """Train, judge, write the report, print the tables."""
    engine.start(config)
    from experiments.moons import run

    run.run(config)


if __name__ == "__main__":
    cli.main(Config, run)
