"""Train the small classifier in whose features image models are measured: digits 98 %, glyphs 98.5 % on the test split."""

from dataclasses import dataclass
from pathlib import Path

from experiments import cli


@dataclass(frozen=True)
class Config:
    """Train a classifier on labelled images, shifted by up to a pixel or two, and save its weights.

    `experiments.images` does the same by itself for the data that it is given.
    """

    data: str = "digits"
    """Image set: a name (digits, glyphs, mnist, ...) or a path."""
    out: Path | None = None
    """Folder of the weights (default: runs/classifier/NAME-DIGEST, where `experiments.images` looks)."""
    steps: int = 2000
    """Training steps."""
    batch: int = 128
    """Images in a step."""
    seed: int = 0
    """Of initial weights, batches and shifts."""
    config: Path | None = None
    """A YAML file of settings named as the flags; the command line wins over it."""


def run(config: Config) -> None:
    """Load, train, judge, save."""
    if config.steps < 1 or config.batch < 1:
        raise cli.UserError(f"--steps and --batch must be at least 1, got {config.steps}, {config.batch}")
    from ddjax import data
    from experiments.imaging import classifiers

    train, test = (data.load(config.data, split) for split in ("train", "test"))
    if train.labels is None:
        raise cli.UserError(f"--data {config.data} has no labels to train on")
    print(f"{train.describe()}\n{test.describe()}")
    found = classifiers.trained(train, test, config.out, steps=config.steps, batch=config.batch, seed=config.seed)
    print(f"test accuracy {100 * found.accuracy:.2f} % on {len(test.x)} images, weights in {found.folder}")


if __name__ == "__main__":
    cli.main(Config, run)
