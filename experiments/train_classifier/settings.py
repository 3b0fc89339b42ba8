"""Settings."""

from dataclasses import dataclass

from ddjax.cli.settings import Count, FileToRead, FolderToWrite, Seed
from experiments.common.images.settings import Source


@dataclass(frozen=True)
class Config(Source):
    """Train a classifier on labelled images, shifted by up to a pixel or two, and save its weights.

    `experiments.images` does the same by itself for the data that it is given.

    Example: python -m experiments.train_classifier --data digits
    """

    out: FolderToWrite | None = None
    """Folder of the weights (default: runs/classifier/NAME-DIGEST, where `experiments.images` looks)."""
    steps: Count = 2000
    """Training steps."""
    batch: Count = 128
    """Images in a step."""
    seed: Seed = 0
    """Of initial weights, batches and shifts."""
    config: FileToRead | None = None
    """A YAML file of settings named as the flags; the command line wins over it."""

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once: a batch of the smallest images, 8 x 8."""
        return {("batch",): 64 * self.batch}
