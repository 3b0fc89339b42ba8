"""What streaming costs: training steps on batches from the device and on batches through Grain, taking turns."""

import itertools
import time
from dataclasses import dataclass
from typing import Annotated, Any

from ddjax import cli
from ddjax.cli.settings import Count, Range
from experiments.common.images.settings import PRESETS, ImageSettings, Preset


@dataclass(frozen=True)
class Config:
    """Time the training steps of an image preset, resident and streamed; prints ratios of interleaved rounds.

    Example: python -m experiments.stream_timing --rounds 3
    """

    preset: Preset = "digits"
    """Settings of the model and its data, those of `experiments.images`."""
    width: Count | None = None
    """Width of the net in place of the preset's: the narrower, the more the input weighs."""
    steps: Annotated[int, Range(16)] = 120
    """Steps of each way in a round, timed in 8 windows of which the quickest counts: other processes can only add."""
    rounds: Count = 7
    """Rounds, in each of which every way has its turn."""

    def model(self) -> ImageSettings:
        """Settings of the model."""
        width = [] if self.width is None else ["--width", str(self.width)]
        return cli.parse(ImageSettings, ["--preset", self.preset, *width], presets=PRESETS)

    def check(self) -> None:
        """Raises: UserError for a model that this machine cannot hold."""
        self.model()


def run(config: Config) -> None:
    """Time, print."""
    settings = config.model()
    import numpy as np

    from ddjax import data, judging, recipes
    from experiments.common.images import models

    train = data.load(settings.data, "train")
    model = recipes.build(models.recipes_of(settings, train.shape, len(train.classes))[0])
    resident = data.batches(train, settings.batch)
    ways = {
        "resident": lambda: resident,
        "resident, steps dispatched one by one": lambda: resident,
        "streamed": lambda: data.Stream(train, settings.batch),
    }
    found: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(config.rounds):
        for way, batches in ways.items():
            found[way].append(seconds(model, batches(), config.steps, scanned=way == "resident"))
    lines = []
    for way, times in found.items():
        ratios = np.array(times) / found["resident"]
        spread = f"{np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})"
        lines.append([way, f"{1e3 * min(times):.3g}", spread])
    print(judging.markdown(["batches", "ms a step, least", "ratio to resident, median and range over rounds"], lines))


def seconds(model: Any, batches: Any, steps: int, *, scanned: bool) -> float:
    """Of a training step in the quickest window but the first, which compiles."""
    from ddjax import training
    from ddjax.runs import jobs

    stamps: list[float] = []
    window = steps // 8
    training.fit(
        jobs.initial_state(model.network, model.optimizer, 0),
        training.make_train_step(model.loss_fn, model.optimizer),
        batches,
        steps=8 * window,
        chunk=window,
        save_every=window,
        log=lambda *_: stamps.append(time.perf_counter()),
        label=None,
        scanned=scanned and training.may_scan(model.network),
    )
    return min(after - before for before, after in itertools.pairwise(stamps)) / window
