"""The ddjax side of sampling: with the number of steps compiled in, and with one program for every number of steps."""

from typing import Any

import jax
import jax.numpy as jnp

from ddjax import denoisers, networks, paths, samplers, schedules, times
from experiments.benchmark import ddjax_images, images, jax_side
from experiments.benchmark.side import Side, Work

SCHEDULE, LONGEST = schedules.Rectified(), 64  # steps of the grid that `samplers.sample_until` walks


def make(name: str, n: int, steps: int, size: str = "28 x 28", bf16: bool = False) -> Side:
    """n samples of the "mlp" on two numbers, or of "dit" or "unet" of a size, with xi at the input."""
    mlp = name == "mlp"
    network = networks.mlp(2) if mlp else ddjax_images.net(name, 0, size, bf16=bf16)
    params = jax.tree.map(jnp.asarray, ddjax_images.random_weights(network))
    event, denoiser = (2,) if mlp else images.SIZES[size]["shape"], denoisers.distributional(network, SCHEDULE)
    grid = times.grid(steps)
    padded = jnp.pad(grid, (0, LONGEST - steps), mode="edge")

    def drawn(sample: Any) -> Any:
        def draw(params: Any, key: jax.Array, grid: jax.Array) -> jax.Array:
            key_prior, key_steps = jax.random.split(key)
            step = samplers.bridge(denoisers.bind(denoiser, params), SCHEDULE)
            return sample(step, key_steps, paths.prior(SCHEDULE, key_prior, (n, *event)), grid)

        return jax.jit(draw)

    programs = {f"{steps} steps": (drawn(samplers.sample), grid)}
    programs |= {f"{steps} steps of a program for up to {LONGEST}": (drawn(samplers.sample_until), padded)}

    def work(program: Any, grid: jax.Array) -> Work:
        return Work(lambda: jax.block_until_ready(program(params, jax.random.key(0), grid)))

    works = {label: work(*given) for label, given in programs.items()}
    return Side(works, lambda: {"n": n}, jax_side.device(), jax_side.memory_mb, jax_side.matmul)
