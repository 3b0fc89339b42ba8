"""Training steps of image presets, compiled from shapes alone, and what XLA counts in them."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from ddjax import cli, data, recipes, training
from ddjax.recipes import Model
from ddjax.runs import jobs
from ddjax.training import sharding
from ddjax.types import Batch
from experiments.common.images import models
from experiments.common.images.settings import PRESETS, ImageSettings

_COLLECTIVES = re.compile(r"\b(all-reduce|all-gather|all-to-all|reduce-scatter|collective-permute)(?:-start)?\(")


def settings_of(preset: str) -> ImageSettings:
    """The settings of `python -m experiments.images --preset ...`."""
    return cli.parse(ImageSettings, ["--preset", preset], presets=PRESETS)


def rows(preset: str, chips: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """The counts of each model of a preset on each number of chips, for one chip of them."""
    settings = settings_of(preset)
    for model in map(recipes.build, models.recipes_of(settings, (32, 32, 3), 10)):
        size = {"parameters": recipes.parameters(model), "batch": settings.batch}
        for n in chips:
            yield {"preset": preset, "model": model.name, "chips": n} | size | counts(lowered(settings, model, n))


def counts(program: Any) -> dict[str, Any]:
    """What XLA counts in a lowered program once it is compiled, for one device."""
    compiled = program.compile()
    cost, memory = compiled.cost_analysis(), compiled.memory_analysis()
    return {
        "flops": cost["flops"],
        "bytes": cost["bytes accessed"],
        "arguments": memory.argument_size_in_bytes,
        "temporaries": memory.temp_size_in_bytes,
        "collectives": dict(Counter(_COLLECTIVES.findall(compiled.as_text()))),
    }


def abstract(settings: ImageSettings, model: Model) -> tuple[training.TrainState, Batch]:
    """State and batch as shapes."""
    state = jax.eval_shape(lambda: jobs.initial_state(model.network, model.optimizer, 0))
    x_0 = jax.ShapeDtypeStruct((settings.batch, 32, 32, 3), jnp.float32)
    return state, Batch(x_0, jax.ShapeDtypeStruct((settings.batch,), jnp.int32))


def lowered(settings: ImageSettings, model: Model, chips: int) -> Any:
    """The step as `experiments.images` trains it, over a mesh of so many devices: state whole on each, batch split."""
    mesh = sharding.mesh(chips)
    step = training.make_train_step(model.loss_fn, model.optimizer, ema_decay=settings.ema_decay)
    state, batch = abstract(settings, model)

    def laid(tree: Any, spec: P) -> Any:
        place = NamedSharding(mesh, spec)
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), tree)

    on_mesh = jax.jit(sharding.on_mesh(step, mesh), donate_argnums=0)
    return on_mesh.lower(laid(state, P()), laid(batch, P("data")))


def check() -> dict[str, float]:
    """The method on the machine at hand: predicted over measured steps a second of the digits preset.

    The peak is that of a large product and the bandwidth that of a large copy, both measured here, and all of the peak is
    taken for reached.
    """
    settings, train = settings_of("digits"), data.load("digits", "train")
    model = recipes.build(models.recipes_of(settings, train.shape, len(train.classes))[0])
    step = training.make_train_step(model.loss_fn, model.optimizer, ema_decay=settings.ema_decay)
    state = jobs.initial_state(model.network, model.optimizer, 0)
    batch = data.batches(train, settings.batch)(jax.random.key(1))
    compiled = jax.jit(step, donate_argnums=0).lower(state, batch).compile()
    cost: Any = compiled.cost_analysis()
    square, long = jnp.ones((2048, 2048)), jnp.ones(2**25)
    product, copy = jax.jit(lambda x: x @ x / 2048, donate_argnums=0), jax.jit(lambda x: -x, donate_argnums=0)
    peak = 2 * 2048**3 / seconds(product, square)
    bandwidth = 2 * long.nbytes / seconds(copy, long)
    measured = 1 / seconds(lambda state: compiled(state, batch)[0], state)
    predicted = 1 / max(cost["flops"] / peak, cost["bytes accessed"] / bandwidth)
    return {
        "peak": peak, "bandwidth": bandwidth, "flops": cost["flops"], "bytes": cost["bytes accessed"],
        "predicted": predicted, "measured": measured, "ratio": predicted / measured,
    }  # fmt: skip


def seconds(work: Callable[[Any], Any], value: Any) -> float:
    """Median time of value <- work(value), whose buffers are donated, after a first call."""
    times = []
    for _ in range(31):
        began = time.perf_counter()
        value = jax.block_until_ready(work(value))
        times.append(time.perf_counter() - began)
    return float(np.median(times[1:]))
