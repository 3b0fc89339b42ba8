"""Ways to sample given a measurement with the exact posterior of x_0, against the exact law.

The target is the paper's two Gaussians, the measurement y = first coordinate + N(0, 1) at .6: of the component on its side the law
given y has .947, of the other the rest. Nothing is trained, so that what is off is the method's.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
from jax.tree_util import Partial
from jaxtyping import Array

from ddjax import denoisers, mixtures, paths, samplers, schedules, targets, times
from ddjax.types import Denoise, Key

SCHEDULE, TARGET = schedules.Rectified(), targets.two_gaussians()
MATRIX, Y, NOISE = np.array([[1.0, 0.0]]), 0.6, np.eye(1)
GIVEN = TARGET.given_linear(MATRIX, np.array([Y]), NOISE)
RIGHT = float(GIVEN.weights[0])
STEPS = (1, 2, 4, 8)
PLUGGED = "mean plugged in (DPS)"

DENOISE = denoisers.bind(mixtures.oracle(TARGET, SCHEDULE), None)
MEAN = denoisers.bind(mixtures.mean_oracle(TARGET, SCHEDULE), None)

Way = Callable[[Key, Array, Array], Array]  # (key, x_1, grid) -> x_0


def log_likelihood(x_0: Array) -> Array:
    """Of the measurement, up to a constant."""
    return -((Y - x_0[0]) ** 2) / (2 * NOISE[0, 0])


def ways(draws: tuple[int, ...], few: tuple[int, ...], denoise: Denoise = DENOISE) -> dict[str, Way]:
    """Conditioning by so many draws of each example, particles of so few, and the exact mean plugged in."""

    def bridged(given: Denoise) -> Way:
        step = samplers.bridge(given, SCHEDULE)
        padded = lambda grid: jnp.pad(grid, (0, 1 + max(STEPS) - len(grid)), mode="edge")  # noqa: E731 (one program)
        return lambda key, x_1, grid: samplers.sample_until(step, key, x_1, padded(grid))

    def as_particles(m: int) -> Way:
        return lambda key, x_1, grid: (
            samplers.particles(denoise, Partial(log_likelihood), SCHEDULE, key, x_1, grid, draws=m).x_0
        )

    of = {f"{m} draws": bridged(samplers.conditioned(denoise, log_likelihood, draws=m)) for m in draws}
    of |= {f"particles of {m} draw{'s' * (m > 1)}": as_particles(m) for m in few}
    return of | {PLUGGED: bridged(samplers.plugged_in(MEAN, log_likelihood, SCHEDULE))}


class Judged(NamedTuple):
    """Of samples: share of the component at y, its standard error, and W_1 along the measured coordinate."""

    share: float
    error: float
    w1: float


def judged(x_0: Array, key: Key) -> Judged:
    """Against as many draws of the exact law; the share is the mean posterior probability of the component."""
    probability = np.asarray(jax.vmap(lambda x: jnp.exp(GIVEN.component_log_prob(x))[0])(x_0), np.float64)
    truth = GIVEN.sample(key, len(x_0))
    distance = scipy.stats.wasserstein_distance(np.asarray(x_0[:, 0]), np.asarray(truth[:, 0]))
    return Judged(float(probability.mean()), float(probability.std() / np.sqrt(len(x_0))), float(distance))


def floor(n: int, repeats: int) -> tuple[float, float]:
    """W_1 between two exact samples: mean and standard deviation."""
    keys = jax.random.split(jax.random.key(1), (repeats, 2))
    values = [judged(GIVEN.sample(a, n), b).w1 for a, b in keys]
    return float(np.mean(values)), float(np.std(values, ddof=1))


def measured(of: dict[str, Way], n: int, repeats: int) -> dict[str, dict[int, Judged]]:
    """Every way at every number of steps: means over repeats, with the error of the mean."""
    found: dict[str, dict[int, Judged]] = {}
    for name, way in of.items():
        found[name] = {}
        for steps in STEPS:
            each = []
            for key in jax.random.split(jax.random.key(steps), repeats):
                key_start, key_steps, key_truth = jax.random.split(key, 3)
                x_0 = way(key_steps, paths.prior(SCHEDULE, key_start, (n, 2)), times.grid(steps))
                each.append(judged(x_0, key_truth))
            shares = [one.share for one in each]
            error = np.std(shares, ddof=1) / np.sqrt(repeats)
            found[name][steps] = Judged(float(np.mean(shares)), float(error), float(np.mean([one.w1 for one in each])))
    return found


def effective(draws: tuple[int, ...], n: int) -> dict[int, dict[int, float]]:
    """Median effective size of so many draws at each time of four steps, on states that are themselves given y."""
    grid, key = times.grid(4), jax.random.key(5)
    key_start, key_path, *keys = jax.random.split(key, 2 + len(draws))
    step = samplers.bridge(samplers.conditioned(DENOISE, log_likelihood, draws=max(draws)), SCHEDULE)
    path = samplers.sample_path(step, key_path, paths.prior(SCHEDULE, key_start, (n, 2)), grid)
    found: dict[int, dict[int, float]] = {}
    for m, key in zip(draws, keys, strict=True):
        found[m] = {}
        for i, key_at in enumerate(jax.random.split(key, 4)):
            sizes = samplers.effective_draws(DENOISE, log_likelihood, key_at, path[i], jnp.full(n, grid[i]), draws=m)
            found[m][i] = float(np.median(sizes))
    return found
