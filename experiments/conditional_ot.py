"""The curse of conditions: eight Gaussians to two moons, with and without a condition, under three couplings.

Protocol of Cheng and Schwing, arXiv 2503.10636, figure 1: MLP 3 x 128, Adam 3e-4, batch 256; sampled by one Euler step and
by an adaptive solver. Theirs trains 20,000 steps and couples batches of 1,024; here the training batch itself is coupled.
"""

from dataclasses import dataclass
from pathlib import Path

from experiments import cli, engine


@dataclass(frozen=True)
class Config(engine.Engine):
    """Train {no, class, x} condition x {independent, OT, condition-aware OT} and print W_2 of each.

    Minibatch OT that does not see the condition makes the start depend on it, and sampling does not: the model is wrong by
    construction, however long it trains. Writes summary.json, flows.png, report.html and checkpoints into --out.
    """

    seeds: int = 2
    """Number of seeds, 0 to seeds - 1."""
    steps: int = 4000
    """Training steps of each model."""
    batch: int = 256
    """Examples for each training step, and for each coupling."""
    learning_rate: float = 3e-4
    """Rate of Adam, constant."""
    noise: float = 0.2
    """Standard deviation around the moons, before they are scaled to 3 x - 1."""
    share: float = 0.99
    """Share of pairs that keep their x condition (condition-aware OT for a continuous condition)."""
    samples: int = 1000
    """Points of each W_2."""
    repeats: int = 4
    """Draws behind each number, and pairs behind each floor."""
    tolerance: float = 1e-3
    """Tolerance of the adaptive solver."""
    save_every: int = 1000
    """Training steps between checkpoints, a multiple of 100."""
    full: bool = False
    """The published budget: 20,000 steps, 5 seeds (explicit flags still win)."""
    config: Path | None = None
    """A YAML file of settings named as the flags; the command line wins over it."""


PRESETS = {"full": {"steps": 20_000, "seeds": 5}}


def check(config: Config) -> None:
    """Raises: ValueError for settings that no run can have, before any compute."""
    cli.require_at_least(config, 1, "seeds", "steps", "batch", "save_every")
    cli.require_at_least(config, 2, "samples", "repeats")
    if config.save_every % 100:
        raise ValueError(f"--save-every must be a multiple of 100, got {config.save_every}")
    if config.samples % 2:
        raise ValueError(f"--samples must be even, half for each moon, got {config.samples}")
    if not 0 <= config.share <= 1:
        raise ValueError(f"--share must lie in [0, 1], got {config.share}")
    if not (config.noise >= 0 and config.learning_rate > 0 and config.tolerance > 0):
        raise ValueError("--noise must not be negative, --learning-rate and --tolerance must be positive")


def run(config: Config) -> None:
    """Train, judge, write the report, print the table."""
    check(config)
    engine.start(config)
    from experiments.conditional import run

    run.run(config)


if __name__ == "__main__":
    cli.main(Config, run, presets=PRESETS)
