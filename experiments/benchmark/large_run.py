"""What makes a large run fit, each alone and all together: recomputation, bfloat16, parts of a batch, streamed batches."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from ddjax import cli
from ddjax.cli.settings import Count, Range
from experiments.common.images.settings import PRESETS, ImageSettings, Preset

if TYPE_CHECKING:
    from ddjax.data import Images


@dataclass(frozen=True)
class Config:
    """Take the same training steps of an image preset in every way, in turns; prints time, planned memory and loss of each.

    The losses agree to rounding where a way computes the same numbers otherwise (remat, streamed batches are others), to 1 %
    in bfloat16; parts of a batch draw their noise anew.

    Example: python -m experiments.large_run --preset glyphs --batch 32 --steps 8
    """

    preset: Preset = "glyphs"
    """Settings of the model and its data, those of `experiments.images`."""
    batch: Annotated[int, Range(0)] = 0
    """Examples in a step; 0 for the preset's."""
    parts: Count = 4
    """Parts of a batch, where it is cut."""
    steps: Annotated[int, Range(2)] = 20
    """Steps of each way, one in each turn; the first does not count for the time."""

    def model(self) -> ImageSettings:
        """Settings of the model."""
        batch = ["--batch", str(self.batch)] if self.batch else []
        return cli.parse(ImageSettings, ["--preset", self.preset, *batch], presets=PRESETS)

    def check(self) -> None:
        """Raises: UserError for a net that has no such choices, or parts that do not divide the batch."""
        settings = self.model()
        if settings.net == "mlp":
            raise cli.UserError(f"--preset {self.preset} trains an mlp, which has no remat and no bfloat16")
        if settings.batch % self.parts:
            raise cli.UserError(f"--parts {self.parts} does not divide the batch of {settings.batch}")


class Way(NamedTuple):
    """How to take a step."""

    name: str
    net: dict[str, Any]
    parts: int = 1
    streamed: bool = False


def ways(parts: int) -> list[Way]:
    """Each choice alone, then all."""
    less = {"remat": True, "bfloat16": True}
    alone = [Way(name, {name: True}) for name in less]
    cut = f"{parts} parts"
    together = Way(f"remat, bfloat16, {cut}", less, parts)
    return [
        Way("plain", {}),
        *alone,
        Way(cut, {}, parts),
        together,
        Way(f"{together.name}, streamed", less, parts, True),
    ]


def run(config: Config) -> None:
    """Compile all, take turns, print."""
    settings = config.model()
    import numpy as np

    from ddjax import data, judging

    train = data.load(settings.data, "train")
    each = [turns(way, settings, train) for way in ways(config.parts)]
    taken = [[next(turn) for turn in each] for _ in range(config.steps)]
    lines, plain = [], np.array([step[0].seconds for step in taken[1:]])
    for i, way in enumerate(ways(config.parts)):
        seconds = np.array([step[i].seconds for step in taken[1:]])
        ratios, loss = seconds / plain, np.mean([step[i].loss for step in taken])
        told = f"{np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})"
        lines.append([way.name, f"{1e3 * seconds.min():.3g}", told, f"{taken[0][i].memory / 1e6:.4g}", f"{loss:.5g}"])
    heads = [
        "way",
        "ms a step, least",
        "ratio to plain, median and range",
        "planned memory, MB",
        f"mean loss of {config.steps} steps",
    ]
    print(judging.markdown(heads, lines))


class Step(NamedTuple):
    """Seconds of one step with its batch, its loss, and the bytes that its program needs."""

    seconds: float
    loss: float
    memory: int


def turns(way: Way, settings: Any, train: Images) -> Iterator[Step]:
    """Training steps of DDM, one a turn, from the same state on."""
    import jax

    from ddjax import data, recipes, training
    from ddjax.runs import jobs
    from ddjax.training import memory
    from experiments.common.images import models

    recipe = models.recipes_of(settings, train.shape, len(train.classes))[0]
    model = recipes.build(recipes.changed(recipe, **way.net))
    state = jobs.initial_state(model.network, model.optimizer, 0)
    step = jax.jit(training.make_train_step(model.loss_fn, model.optimizer, accumulate=way.parts), donate_argnums=0)
    resident = jax.jit(data.batches(train, settings.batch))
    keys = (jax.random.key(i) for i in itertools.count())
    batches: Iterator[Any] = iter(data.Stream(train, settings.batch)) if way.streamed else map(resident, keys)
    program: Callable[..., Any] = step.lower(state, next(batches)).compile()
    while True:
        began = time.perf_counter()
        state, metrics = program(state, next(batches))
        loss = float(metrics["loss"])
        yield Step(time.perf_counter() - began, loss, memory.needs(program))
