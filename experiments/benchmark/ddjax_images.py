"""The ddjax side of the image work."""

from typing import Any

import jax
import jax.numpy as jnp

from ddjax import denoisers, networks, schedules
from ddjax.types import Network
from experiments.benchmark import images, jax_side
from experiments.benchmark.side import Side, Work

SCHEDULE = schedules.Rectified()


def net(name: str, inject: int | None) -> Network:
    """ "unet" or "dit", without xi or with xi joining block `inject`."""
    make, settings = {"unet": (networks.unet, images.UNET), "dit": (networks.dit, images.DIT)}[name]
    return make(images.SHAPE, inject=inject, **settings)


def weights(name: str) -> dict[str, Any]:
    """Weights of the net without xi, moved off their zeros, so that every path of the net counts."""
    params = net(name, None).init(jax.random.key(0))
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    moved = [leaf + 0.02 * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(tree, moved)


def make(name: str, weights: str, batch: int, inject: int | None = None, bf16: bool = False) -> Side:
    """A regression step; with `inject`, one with a population of draws in the place of the single one."""
    plain = net(name, inject)
    network = jax_side.in_bf16(plain) if bf16 else plain
    params = images.load_weights(weights) if inject is None else plain.init(jax.random.key(0))
    params = jax.tree.map(jnp.asarray, params)
    x, t = jax.random.normal(jax.random.key(0), (batch, *images.SHAPE)), jnp.linspace(0, 1, batch)

    def loss(params: Any, x: jax.Array, t: jax.Array) -> jax.Array:
        if inject is None:
            return jnp.mean((network.apply(params, x, t, None, None) - x) ** 2)
        denoiser = denoisers.distributional(network, SCHEDULE)
        key = jax.random.key(1)
        draws = denoisers.folded_population(denoiser, params, key, x, t, size=images.POPULATION)
        return jnp.mean((draws - x[:, None]) ** 2)

    step = jax.jit(jax.grad(loss))

    def run() -> None:
        jax.block_until_ready(step(params, x, t))

    def equal() -> dict[str, float | int]:
        numbers = {"batch": batch}
        if inject is None:
            numbers |= {"parameters": jax_side.count(params)}
        if inject is None and not bf16:
            numbers |= {"loss": float(loss(params, *map(jnp.asarray, images.fixed_inputs())))}
        return numbers

    flops = step.lower(params, x, t).cost_analysis()["flops"] if inject is None else 0.0
    work = {"step": Work(run, 1, flops)}
    return Side(work, equal, jax_side.device(), jax_side.memory_mb, jax_side.matmul, {"flops": lambda: flops})
