"""Ways to sample images given a linear measurement, from a distributional denoiser and from a mean, at equal cost.

A cost is counted in evaluations of a network for each sample: M for each step of `samplers.conditioned` and `particles`, one for
each step of `plugged_in` and `pseudoinverse_guided`, whose gradient comes on top and is not counted.

Guided means start at t = .98, or .999 with one step: at t = 1 their guidance is 0/0, of which a network has the rounding alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array

from ddjax import paths, recipes, samplers, times
from ddjax.types import Denoise, Key
from experiments.imaging.measurements import Measurement

SCHEDULE = recipes.SCHEDULE
START = 0.98
STEPS = (1, 2, 4, 8)
ROWS = 32_768  # events in memory together
EACH = 4  # particles for each sample that is kept

Way = Callable[[Key, Array, int], Array]  # (key, y [n, m], samples) -> x_0 [n, samples, *event]


class Denoisers(NamedTuple):
    """Of the same data: draws of x_0, and its mean; v is the mean variance of a pixel."""

    draws: Denoise
    mean: Denoise
    variance: float


def unconditional(of: Denoisers, problem: Measurement, *, steps: int) -> Way:
    """Draws that know nothing of y."""
    return _way(problem, lambda y: samplers.bridge(of.draws, SCHEDULE), times.grid(steps), 1)


def conditioned(of: Denoisers, problem: Measurement, *, draws: int, steps: int) -> Way:
    """One of M draws kept by its likelihood, before each bridge."""
    grid = jnp.pad(times.grid(steps), (0, max(STEPS) - steps if steps in STEPS else 0), mode="edge")
    likely = Partial(problem.log_likelihood)

    def step(y: Array) -> Any:
        return samplers.bridge(samplers.conditioned(of.draws, likely, draws=draws, y=y), SCHEDULE)

    return _way(problem, step, grid, draws)


def dps(of: Denoisers, problem: Measurement, *, steps: int, scale: float) -> Way:
    """Diffusion posterior sampling: the mean, plugged into the likelihood."""
    likely = Partial(problem.log_likelihood)

    def step(y: Array) -> Any:
        return samplers.bridge(samplers.plugged_in(of.mean, likely, SCHEDULE, scale=scale, y=y), SCHEDULE)

    return _way(problem, step, guided_grid(steps), 1)


def pigdm(of: Denoisers, problem: Measurement, *, steps: int, scale: float) -> Way:
    """Pseudoinverse guidance of the mean."""

    def step(y: Array) -> Any:
        told = {"noise": problem.noise, "variance": of.variance, "scale": scale}
        return samplers.bridge(samplers.pseudoinverse_guided(of.mean, problem.matrix, SCHEDULE, y=y, **told), SCHEDULE)

    return _way(problem, step, guided_grid(steps), 1)


def guided_grid(steps: int) -> Array:
    """Times of a guided mean, from START."""
    return jnp.asarray(START * times.grid(steps))


def _way(problem: Measurement, step: Callable[[Array], Any], grid: Array | np.ndarray, draws: int) -> Way:
    """All samples of all images as one batch, in pieces of which `draws` each fit into memory."""

    @jax.jit
    def drawn(keys: Key, y: Array, grid: Array) -> Array:
        def piece(args: tuple[Key, Array]) -> Array:
            key_start, key_steps = jax.random.split(args[0])
            x_1 = paths.prior(SCHEDULE, key_start, (len(args[1]), *problem.shape))
            return samplers.sample_until(step(args[1]), key_steps, x_1, grid)

        return jax.lax.map(piece, (keys, y))

    def way(key: Key, y: Array, m: int) -> Array:
        rows = jnp.repeat(y, m, 0)
        parts = -(-len(rows) * draws // ROWS)
        size = -(-len(rows) // parts)
        padded = jnp.pad(rows, ((0, parts * size - len(rows)), (0, 0))).reshape(parts, size, -1)
        x_0 = drawn(jax.random.split(key, parts), padded, grid).reshape(-1, *problem.shape)
        return x_0[: len(rows)].reshape(len(y), m, *problem.shape)

    return way


def particles(of: Denoisers, problem: Measurement, *, draws: int, steps: int) -> Way:
    """Sequential Monte Carlo of each image, EACH particles for a sample; copies lie side by side, so that one of EACH is kept."""

    @jax.jit
    def drawn(keys: Key, y: Array, x_1: Array) -> Array:
        def image(args: tuple[Key, Array, Array]) -> Array:
            likely = Partial(lambda y, x_0: problem.log_likelihood(x_0, y), args[1])
            found = samplers.particles(of.draws, likely, SCHEDULE, args[0], args[2], times.grid(steps), draws=draws)
            return found.x_0[::EACH]

        return jax.lax.map(image, (keys, y, x_1))

    def way(key: Key, y: Array, m: int) -> Array:
        key_start, *keys = jax.random.split(key, 1 + len(y))
        x_1 = paths.prior(SCHEDULE, key_start, (len(y), EACH * m, *problem.shape))
        return drawn(jnp.stack(keys), y, x_1)

    return way


def effective(of: Denoisers, problem: Measurement, y: Array, key: Key, *, draws: int, steps: int) -> list[float]:
    """Median effective size of so many draws at each time of the grid, on states that are themselves given y."""
    key_start, key_path, *keys = jax.random.split(key, 2 + steps)
    given = {"draws": draws, "y": y}
    likely, grid = Partial(problem.log_likelihood), times.grid(steps)
    step = samplers.bridge(samplers.conditioned(of.draws, likely, **given), SCHEDULE)
    x_1 = paths.prior(SCHEDULE, key_start, (len(y), *problem.shape))
    path = samplers.sample_path(step, key_path, x_1, grid)
    sizes = [
        samplers.effective_draws(of.draws, likely, key, x_t, jnp.full(len(y), t), **given)
        for key, x_t, t in zip(keys, path[:-1], grid, strict=False)
    ]
    return [float(np.median(size)) for size in sizes]
