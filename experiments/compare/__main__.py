"""Two trained image models in different numbers of steps: which is closer to held-out images, and how sure that is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from ddjax import cli
from ddjax.cli.settings import FolderToRead, Range, Steps
from experiments.common import study
from experiments.common.study import Study
from experiments.lazy import image_judges, image_spaces, intervals, trained_images

if TYPE_CHECKING:
    from experiments.compare.intervals import Comparison


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


def run(config: Config) -> None:
    """Load, draw, compare, write, print."""
    began = time.monotonic()
    models = [trained_images.load(config.run, name) for name in (config.model, config.beside)]
    train, held_out = trained_images.splits(config.run, config.samples)
    folder = study.folder(config, "compare")
    judges = image_spaces.of(train, held_out)
    features = {}
    for place, (model, steps) in enumerate(zip(models, (config.steps, config.beside_steps), strict=True)):
        for n in steps:
            x = trained_images.drawn(model, train, n, config.samples, seed=2027 + place)
            features[place, n] = [image_judges.in_chunks(where.features, x) for where in judges.spaces]
    found: list[Comparison] = []
    together = len(judges.spaces) * len(config.steps) * len(config.beside_steps)
    for i, where in enumerate(judges.spaces):
        for a in config.steps:
            for b in config.beside_steps:
                how = {"resamples": config.resamples, "comparisons": together}
                apart = intervals.difference(where, features[0, a][i], features[1, b][i], **how)
                found.append(intervals.Comparison(where.name, models[0].job, a, models[1].job, b, apart))
    study.write(folder, "compare", config, intervals.findings(found), began)


if __name__ == "__main__":
    cli.main(Config, run)
