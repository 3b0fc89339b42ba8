"""Flow matching on two moons, step by step: concatenated and sinusoidal time, optimal-transport coupling, classes with
guidance, and distributional diffusion on the same net and budget.

Expected with the defaults: experiments 1 to 3 at the floor of W_1 at 50 steps; losses .92 to .97 with independent pairs
and below .04 with coupled ones; at 1 step only the coupled flow and DDM draw moons.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from experiments import cli, engine


@dataclass(frozen=True)
class Config(engine.Engine):
    """Train the models of the two-moons page and judge them at 1 to 50 steps.

    1: time concatenated. 2: sinusoidal time. 3: minibatch OT coupling. 4: class-conditional with guidance, for independent,
    label-blind and class-aware coupling. ddm: distributional diffusion. Writes config.yaml, metrics.jsonl, watched.jsonl,
    summary.json, figures, flow.gif, report.html and checkpoints into --out.
    """

    exp: tuple[Literal["1", "2", "3", "4", "ddm", "all"], ...] = ("all",)
    """Experiments to run."""
    seeds: int = 3
    """Number of seeds, 0 to seeds - 1."""
    steps: int = 10_000
    """Training steps of each model."""
    batch: int = 256
    """Examples for each training step."""
    noise: float = 0.03
    """Standard deviation of the noise around the moons."""
    width: int = 128
    """Width of the hidden layers."""
    depth: int = 3
    """Number of hidden layers."""
    learning_rate: float = 2e-3
    """Rate of AdamW, constant."""
    weight_decay: float = 0.01
    """Decoupled weight decay."""
    ema_decay: float = 0.999
    """Decay of the averaged parameters that are sampled from."""
    population: int = 4
    """Draws m of DDM for each example; at least 2."""
    dropout: float = 0.1
    """Share of labels that experiment 4 hides from its net."""
    guidance: tuple[float, ...] = (1.0, 3.0)
    """Guidance weights w: 1 is conditional, above it pulls towards the class."""
    nfe: tuple[int, ...] = (1, 2, 5, 10, 50)
    """Numbers of sampling steps to judge."""
    samples: int = 10_000
    """Points for each measured distance (W_1 takes blocks of 1,000 of them)."""
    blocks: int = 2
    """Blocks of 1,000 points behind each W_1."""
    repeats: int = 8
    """Pairs of fresh true samples behind each floor."""
    save_every: int = 1000
    """Training steps between checkpoints and points of the metrics plot, a multiple of 100."""
    config: Path | None = None
    """A YAML file of settings named as the flags; the command line wins over it."""


def check(config: Config) -> None:
    """Raises: ValueError for settings that no run can have, before any compute."""
    if not (config.exp and config.nfe and config.guidance):
        raise ValueError("--exp, --nfe and --guidance need at least one value each")
    cli.require_at_least(config, 1, "seeds", "steps", "batch", "width", "blocks", "save_every", "nfe")
    cli.require_at_least(config, 2, "repeats", "population")
    if config.samples < 1000:
        raise ValueError(f"--samples must be at least 1000, the points of one W_1, got {config.samples}")
    if config.save_every % 100:
        raise ValueError(f"--save-every must be a multiple of 100, got {config.save_every}")
    if config.depth < 2:
        raise ValueError(f"--depth must be at least 2, so that xi can join the second layer, got {config.depth}")
    if not (config.noise >= 0 and config.learning_rate > 0 and config.weight_decay >= 0):
        raise ValueError("--noise and --weight-decay must not be negative, --learning-rate must be positive")
    if not (0 <= config.dropout <= 1 and 0 <= config.ema_decay < 1):
        raise ValueError("--dropout must lie in [0, 1] and --ema-decay in [0, 1)")


def run(config: Config) -> None:
    """Train, judge, write the report, print the tables."""
    check(config)
    engine.start(config)
    from experiments.moons import run

    run.run(config)


if __name__ == "__main__":
    cli.main(Config, run)
