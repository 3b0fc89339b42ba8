"""Whether a denoiser's draws are draws of p(x_0 | x_t), level of noise by level of noise.

Pairs (x_0, x_t) come from the data and the forward process, so that x_0 is itself a draw of p(x_0 | x_t), and one among equals
for the exact posterior:

    (A)  its rank among m draws along a random direction is uniform           `metrics.rank_histogram`
    (B)  so is its credibility about x_t                                      `metrics.tarp`
    (C)  the spread of the draws is the size of their error                   `metrics.spread_skill`
    (D)  gap = E ES(draws, x_0) - E ES(exact draws, x_0) >= 0, 0 at the truth alone

with ES the fair energy score of `scoring`: (D) is half the energy distance of the two posteriors, averaged over x_t.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float

from ddjax import denoisers, metrics, mixtures, paths, scoring
from ddjax.compiled import compiled
from ddjax.inputs import checked_count, checked_key
from ddjax.metrics.points import Observations, Populations
from ddjax.mixtures import GaussianMixture
from ddjax.types import Denoiser, Key, Params, Scalar, Schedule, standard_normal


class EnergyGap(NamedTuple):
    """The mean over examples of eq. (D), and its standard error (NaN for a single example)."""

    mean: Float[Array, ""]
    error: Float[Array, ""]


class Calibration(NamedTuple):
    """Eq. (A) to (D) at each time t; the gap is NaN where the exact posterior is not known."""

    t: list[float]
    rank_pvalue: list[float]
    spread_skill: list[float]
    tarp_deviation: list[float]
    tarp_pvalue: list[float]
    energy_gap: list[float]
    energy_error: list[float]


def energy_gap(
    samples: Populations, exact: Populations, observations: Observations, *, beta: Scalar = 1.0
) -> EnergyGap:
    """Eq. (D) for draws and exact draws [n, m, *event] of observations [n, *event]: at least 0, up to its error.

    Args: beta: in (0, 2), of the energy score.
    Raises: ValueError for shapes that do not fit, fewer than 2 draws, or a beta outside (0, 2].
    """
    return _energy_gap(samples, exact, observations, beta)


@jax.jit
def _energy_gap(samples: Array, exact: Array, observations: Array, beta: Scalar) -> EnergyGap:
    both = jnp.stack([samples, exact])  # scored in one piece of program, which is half as long to compile
    of_example = jax.vmap(lambda draws, x_0: scoring.energy_score(draws, x_0, beta=beta))
    of_model, of_exact = jax.vmap(of_example, (0, None))(both, observations)
    gaps = of_model - of_exact
    return EnergyGap(jnp.mean(gaps), jnp.std(gaps, ddof=1) / len(gaps) ** 0.5)


def calibration(
    denoiser: Denoiser,
    params: Params,
    truth: GaussianMixture | Callable[[Key, int], Array],
    schedule: Schedule,
    key: Key,
    at: Sequence[float],
    *,
    n: int = 2000,
    size: int = 15,
) -> Calibration:
    """Eq. (A) to (D) of `size` draws for each of n pairs (x_0, x_t), at the times `at`, each with fresh pairs.

    A p-value below .01 at one time of a hundred is chance. All of it is one program, for every time and for new params.

    Args:
        truth: the data, as a mixture, whose exact posterior is known, or as `sample(key, n) -> x_0 [n, *event]`.
        at: times > 0; at 0 the posterior is a point, and every rank is a tie.
        n: at least 5 (size + 1), for the p-values. size: draws for each pair, at least 2.
    Raises: ValueError for times that are not positive, n below 2, or fewer than 2 draws.
    """
    n, size = checked_count(n, "n", least=2), checked_count(size, "size", least=2)
    if not all(0 < t < np.inf for t in at):
        raise ValueError(f"need positive times, got {at=}")
    keys = jax.random.split(checked_key(key), len(at))
    levels = [
        _level(denoiser, params, truth, schedule, k, jnp.asarray(t, float), n, size)
        for k, t in zip(keys, at, strict=True)
    ]
    return Calibration([float(t) for t in at], *np.array(levels, float).T.tolist())


@compiled
def _level(
    denoiser: Denoiser,
    params: Params,
    truth: GaussianMixture | Callable[[Key, int], Array],
    schedule: Schedule,
    key: Key,
    t: Array,
    n: int,
    size: int,
) -> tuple[Array, ...]:
    key_data, key_noise, key_xi, key_exact, key_direction, key_ties = jax.random.split(key, 6)
    known = isinstance(truth, GaussianMixture)
    x_0 = truth.sample(key_data, n) if known else truth(key_data, n)
    noise, times = standard_normal(key_noise, x_0.shape, x_0.dtype), jnp.full(n, t)
    x_t = jax.vmap(lambda x_0, noise: paths.interpolate(schedule, x_0, noise, t))(x_0, noise)
    draws = denoisers.population(denoiser, params, key_xi, x_t, times, size=size)
    direction = Partial(_along, standard_normal(key_direction, x_0.shape[1:], x_0.dtype))
    ranks = metrics.rank_histogram(draws, x_0, key_ties, prerank=direction)
    coverage = metrics.tarp(draws, x_0, x_t)
    gap = EnergyGap(*jnp.full(2, jnp.nan))
    if known:
        oracle = mixtures.oracle(truth, schedule)
        gap = energy_gap(draws, denoisers.population(oracle, None, key_exact, x_t, times, size=size), x_0)
    return ranks.pvalue, metrics.spread_skill(draws, x_0), coverage.deviation, coverage.pvalue, *gap


def _along(direction: Array, points: Array) -> Array:
    return jnp.sum((points * direction[None]).reshape(points.shape[0], -1), 1)
