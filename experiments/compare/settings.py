"""Settings."""

from dataclasses import dataclass
from typing import Annotated

from ddjax.cli.settings import FolderToRead, Range, Steps
from experiments.common.settings import Study


@dataclass(frozen=True, kw_only=True)
class Config(Study):
    """Compare two models of a run of `experiments.images` by Fréchet distances to held-out images, with bootstrap intervals.

    In pixels and in the features of a classifier; what one seed of each model tells, and no more.

    Example: python -m experiments.compare --run runs/images/glyphs --steps 4 --beside-steps 8 16
    """

    run: FolderToRead
    """Folder of the run."""
    model: str | None = None
    """A trained model of the run, for instance ddm-beta-1-seed0 (default: the first)."""
    beside: str = "regression-seed0"
    """The trained model that it is compared with."""
    steps: tuple[Steps, ...] = (4,)
    """Numbers of steps of the model."""
    beside_steps: tuple[Steps, ...] = (8, 16)
    """Numbers of steps of the other: every pair is compared."""
    samples: Annotated[int, Range(100)] = 2000
    """Samples of each, and held-out images."""
    resamples: Annotated[int, Range(10)] = 50
    """Bootstrap resamples behind an interval."""

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers in memory at once."""
        return {("samples",): 64 * self.samples}
