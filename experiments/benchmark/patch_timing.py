"""What a score of patches costs beside that of the whole image: training steps in turns."""

import time
from dataclasses import dataclass, replace
from typing import Annotated

from ddjax import cli
from ddjax.cli.settings import Count, Range
from experiments.common.images.settings import PRESETS, ImageSettings, Preset


@dataclass(frozen=True)
class Config:
    """Time the training step of an image preset with scores of patches; prints ratios of interleaved rounds.

    Example: python -m experiments.patch_timing --preset digits --rounds 3
    """

    preset: Preset = "photos"
    """Settings of the model and its data, those of `experiments.images`."""
    patches: tuple[Count, ...] = (3, 8)
    """Sides of the patches whose score joins that of the whole image."""
    batch: Annotated[int, Range(0)] = 0
    """Examples in a step; 0 for the preset's."""
    rounds: Count = 9
    """Rounds, in each of which every side has its turn, after one that compiles."""

    def model(self) -> ImageSettings:
        """Settings of the model."""
        batch = ["--batch", str(self.batch)] if self.batch else []
        return cli.parse(ImageSettings, ["--preset", self.preset, *batch], presets=PRESETS)

    def check(self) -> None:
        """Raises: UserError for a model that this machine cannot hold."""
        self.model()


def run(config: Config) -> None:
    """Time, print."""
    settings = config.model()
    import jax
    import numpy as np

    from ddjax import data, judging, recipes, training
    from ddjax.runs import jobs
    from experiments.common.images import models

    train = data.load(settings.data, "train")
    batch = jax.block_until_ready(data.batches(train, settings.batch)(jax.random.key(0)))
    steps = {}
    for patch in (0, *config.patches):
        recipe = models.recipes_of(replace(settings, score_patch=patch), train.shape, len(train.classes))[0]
        model = recipes.build(recipe)
        step = jax.jit(training.make_train_step(model.loss_fn, model.optimizer))
        steps[patch] = (step, jobs.initial_state(model.network, model.optimizer, 0))
    found: dict[int, list[float]] = {patch: [] for patch in steps}
    for _ in range(1 + config.rounds):
        for patch, (step, state) in steps.items():
            began = time.perf_counter()
            jax.block_until_ready(step(state, batch))
            found[patch].append(time.perf_counter() - began)
    lines = []
    for patch, times in found.items():
        ratios = np.array(times[1:]) / found[0][1:]
        told = f"{np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})"
        lines.append([f"whole image{f' and patches of {patch}' if patch else ''}", f"{1e3 * min(times[1:]):.3g}", told])
    print(judging.markdown(["score", "ms a step, least", "ratio to the whole image, median and range"], lines))
