"""Ways to sample images given a linear measurement, from a distributional denoiser and from a mean, at equal cost.

A cost is counted in evaluations of a network for each sample: M for each step of `samplers.conditioned` and `particles`, one for
each step of a guided mean and one more for its gradient.

Guided means start at t = .98: at t = 1 their guidance is 0/0, of which a network has the rounding alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array

from ddjax import paths, samplers, schedules, times
from ddjax.types import Denoise, Key
from experiments.inverse_problems.measurements import Measurement

SCHEDULE = schedules.Rectified()
START = 0.98
STEPS = (1, 2, 4, 8)
ROWS, DRAWN = 570, 73_000  # chains walked together, and events in memory together
EACH = 4  # particles for each sample that is kept


# (key, y [n, m], samples, *, noise, steps, scale=1.0) -> x_0 [n, samples, *event]; one program for all but other shapes
Way = Callable[..., Array]
Given = Callable[[Measurement, Array, Array], Denoise]  # (problem, y, scale)
SCALES = (0.1, 0.3, 1.0, 3.0)  # of guidance, tried on images that nothing else is judged by
TUNING = 19  # samples of each image then


class Denoisers(NamedTuple):
    """Of the same data: draws of x_0, and its mean; v is the mean variance of a pixel."""

    draws: Denoise
    mean: Denoise
    variance: float


def unconditional(of: Denoisers, problem: Measurement) -> Way:
    """Draws that know nothing of y."""
    return _way(problem, lambda problem, y, scale: of.draws, times.grid, max(STEPS))


def conditioned(of: Denoisers, problem: Measurement, *, draws: int) -> Way:
    """One of M draws kept by its likelihood, before each bridge."""

    def given(problem: Measurement, y: Array, scale: Array) -> Denoise:
        return samplers.conditioned(of.draws, problem.log_likelihood, draws=draws, y=y)

    return _way(problem, given, times.grid, max(STEPS), rows=min(ROWS, DRAWN // draws))


def dps(of: Denoisers, problem: Measurement, *, most: int) -> Way:
    """Diffusion posterior sampling in up to so many steps: the mean, plugged into the likelihood."""

    def given(problem: Measurement, y: Array, scale: Array) -> Denoise:
        return samplers.plugged_in(of.mean, problem.log_likelihood, SCHEDULE, scale=scale, y=y)

    return _way(problem, given, guided_grid, most)


def pigdm(of: Denoisers, problem: Measurement, *, most: int) -> Way:
    """Pseudoinverse guidance of the mean, in up to so many steps."""

    def given(problem: Measurement, y: Array, scale: Array) -> Denoise:
        told = {"noise": problem.noise, "variance": of.variance, "scale": scale}
        return samplers.pseudoinverse_guided(of.mean, problem.matrix, SCHEDULE, y=y, **told)

    return _way(problem, given, guided_grid, most)


def guided_grid(steps: int) -> np.ndarray:
    """Times of a guided mean, from START."""
    return START * np.asarray(times.grid(steps))


def particles(of: Denoisers, problem: Measurement, *, draws: int) -> Way:
    """Sequential Monte Carlo of each image, EACH particles for a sample; copies lie side by side: one of EACH is kept."""

    @jax.jit
    def drawn(keys: Key, y: Array, x_1: Array, noise: Array, grid: Array) -> Array:
        at = replace(problem, noise=noise)

        def image(args: tuple[Key, Array, Array]) -> Array:
            likely = Partial(lambda y, x_0: at.log_likelihood(x_0, y), args[1])
            return samplers.particles(of.draws, likely, SCHEDULE, args[0], args[2], grid, draws=draws).x_0[::EACH]

        return jax.lax.map(image, (keys, y, x_1))

    def way(key: Key, y: Array, m: int, *, noise: float, steps: int) -> Array:
        key_start, key_images = jax.random.split(key)
        x_1 = paths.prior(SCHEDULE, key_start, (len(y), EACH * m, *problem.shape))
        return drawn(jax.random.split(key_images, len(y)), y, x_1, jnp.asarray(noise), times.grid(steps))

    return way


def tuned(way: Way, loss: Callable[[Array], float], y: Array, key: Key) -> float:
    """The scale of guidance whose samples given y have the least loss."""
    losses = [loss(way(jax.random.clone(key), y, TUNING, scale=scale)) for scale in SCALES]
    return SCALES[int(np.nanargmin(losses))]


def _way(problem: Measurement, given: Given, grid: Callable[[int], Any], most: int, *, rows: int = ROWS) -> Way:
    """All samples of all images as one batch, so many rows at a time."""

    @jax.jit
    def drawn(key: Key, y: Array, along: Array, noise: Array, scale: Array) -> Array:
        key_start, key_steps = jax.random.split(key)
        denoise = given(replace(problem, noise=noise), y, scale)
        x_1 = paths.prior(SCHEDULE, key_start, (len(y), *problem.shape))
        return samplers.sample_until(samplers.bridge(denoise, SCHEDULE), key_steps, x_1, along)

    def way(key: Key, y: Array, m: int, *, noise: float, steps: int, scale: float = 1.0) -> Array:
        every = jnp.repeat(y, m, 0)
        parts = -(-len(every) // rows)
        padded = jnp.pad(every, ((0, parts * rows - len(every)), (0, 0))).reshape(parts, rows, -1)
        along = jnp.pad(jnp.asarray(grid(steps)), (0, most - steps), mode="edge")
        numbers = along, jnp.asarray(noise), jnp.asarray(scale)
        x_0 = [drawn(key, y, *numbers) for key, y in zip(jax.random.split(key, parts), padded, strict=True)]
        return jnp.concatenate(x_0)[: len(every)].reshape(len(y), m, *problem.shape)

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
