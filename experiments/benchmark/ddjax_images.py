"""The ddjax side of the image work."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ddjax import denoisers, networks, schedules
from ddjax.types import Network
from experiments.benchmark import images, jax_side
from experiments.benchmark.products import flops
from experiments.benchmark.side import Side, Work

SCHEDULE = schedules.Rectified()


def net(name: str, inject: int | None, size: str = "28 x 28", *, bf16: bool = False, kernel: str = "auto") -> Network:
    """ "unet" or "dit", without xi or with xi joining block `inject`."""
    make, sizes = {"unet": networks.unet, "dit": networks.dit}[name], images.SIZES[size]
    dtype = jnp.bfloat16 if bf16 else jnp.float32
    return make(sizes["shape"], inject=inject, dtype=dtype, kernel=kernel, **sizes[name])


def random_weights(network: Network) -> dict[str, Any]:
    """Random weights with nothing at zero, so that every path of the net counts; the same on every machine."""
    random = np.random.default_rng(0)
    shapes = jax.eval_shape(network.init, jax.random.key(0))

    def drawn(path: Any, leaf: Any) -> np.ndarray:
        scale = np.prod(leaf.shape[:-1]) ** -0.5 if len(leaf.shape) > 1 else 0.02
        weight_of_norm = path[-1].key == "scale"
        return random.standard_normal(leaf.shape, np.float32) * np.float32(scale) + np.float32(weight_of_norm)

    return jax.tree_util.tree_map_with_path(drawn, shapes)


def make(
    name: str,
    weights: str,
    batch: int,
    inject: int | None = None,
    bf16: bool = False,
    size: str = "28 x 28",
    rough: bool = False,
) -> Side:
    """A regression step; with `inject`, one with a population of draws in the place of the single one.

    Args:
        weights: a file that every plain side reads, and the first writes. rough: sides are compared to some percent, so
            bfloat16 may be.
    """
    network, plain = net(name, inject, size, bf16=bf16), net(name, inject, size, kernel="xla")
    params = jax.tree.map(jnp.asarray, kept(Path(weights), plain) if inject is None else random_weights(plain))
    x, t = map(jnp.asarray, images.fixed_inputs(size, batch))
    losses = []

    def loss(params: Any, x: jax.Array, t: jax.Array, network: Network = network) -> jax.Array:
        if inject is None:
            return jnp.mean((network.apply(params, x, t, None, None) - x) ** 2)
        denoiser = denoisers.distributional(network, SCHEDULE)
        key = jax.random.key(1)
        draws = denoisers.folded_population(denoiser, params, key, x, t, size=images.POPULATION)
        return jnp.mean((draws - x[:, None]) ** 2)

    step = jax.jit(jax.value_and_grad(loss))

    def run() -> None:
        losses[:] = [jax.block_until_ready(step(params, x, t))[0]]

    def equal() -> dict[str, float | int]:
        numbers = {"batch": batch}
        if inject is None:
            numbers |= {"parameters": jax_side.count(params)}
        if inject is None and (rough or not bf16):
            numbers |= {"loss": float(losses[0])}
        return numbers

    counted = flops(jax.grad(lambda params: loss(params, x, t, plain)), params)
    work = {"step": Work(run, 1, counted)}
    answers = {"peak bf16": jax_side.bf16_peak}
    return Side(work, equal, jax_side.device(), jax_side.memory_mb, jax_side.matmul, answers)


def kept(file: Path, network: Network) -> dict[str, Any]:
    """The weights in the file, written by the first who asks."""
    if not file.exists():
        images.save_weights(file, random_weights(network))
    return images.load_weights(str(file))
