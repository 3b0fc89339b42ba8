"""Where observations lie among draws: ranks, their histogram, and probability integral transforms.

With y one element of an observation and x_1..m that element of the m draws that foretell it, or pre-ranks of both,

    (A)  place = #{j: x_j < y} + V (#{j: x_j = y} + 1),   V ~ U[0, 1)
    (B)  rank  = floor(place),   pit = place / (m + 1)
    (C)  chi2  = sum_b (count_b - n / bins)^2 / (n / bins),   p = P(chi2_(bins - 1) > chi2)

If y is exchangeable with its draws, as it is with draws of its own law, the rank is uniform on 0..m and pit on [0, 1]: for every
m, with ties, and after every pre-rank. Draws too narrow leave the observation outside: a histogram with high ends; too wide
ones, a hill; a bias, a slope.

A pre-rank makes one number of each of m + 1 points [m + 1, *event] and may look at the others, but not at their order.

References: Hamill, Mon. Wea. Rev. 129 (2001); Thorarinsdottir et al., arXiv 1310.0236, and Allen et al., arXiv 2307.05846
(pre-ranks); Talts et al., arXiv 1804.06788 (ranks of a simulator's parameters).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from ddjax.compiled import compiled
from ddjax.inputs import checked_count, checked_function, checked_key
from ddjax.metrics.points import Observations, Populations, checked_populations, populations
from ddjax.types import Key, nan_unless_finite, precise, shaped

Prerank = Callable[[Float[Array, "points *event"]], Float[Array, " points"]]

_EXAMPLES = 64  # that a pre-rank sees at once


class RankHistogram(NamedTuple):
    """Counts of each rank and eq. (C), for each element or for the one pre-rank; NaN where a number was not finite."""

    counts: Float[Array, "*element ranks"]
    statistic: Float[Array, "*element"]
    pvalue: Float[Array, "*element"]


def rank_histogram(
    samples: Populations,
    observations: Observations,
    key: Key,
    *,
    prerank: Prerank | None = None,
    bins: int | None = None,
) -> RankHistogram:
    """How often an observation has each rank among its draws, ties broken at random, and whether that is uniform.

    Each p-value is good for n independent examples, n about 5 bins or more. Elements of one event are dependent, so that their
    p-values together are no test, but for the smallest times their number; a pre-rank gives one.

    Args:
        samples: [n, m, *event]. observations: [n, *event].
        prerank: `average_prerank`, `energy_prerank` or another; without one each element has its own histogram.
        bins: of as many neighbouring ranks each, for eq. (C) alone; m + 1 unless told.
    Returns: counts [*event, m + 1], or [m + 1] of a pre-rank; statistic and pvalue of each histogram.
    Raises: ValueError for shapes that do not fit, or bins that do not divide m + 1 into 2 or more.
    """
    samples, observations = checked_populations(samples, observations)
    bins = None if bins is None else checked_count(bins, "bins", least=2)
    return _rank_histogram(samples, observations, checked_key(key), _checked(prerank), bins)


def pit(
    samples: Populations, observations: Observations, key: Key, *, prerank: Prerank | None = None
) -> Float[Array, "n *element"]:
    """The randomised probability integral transform of eq. (B), in [0, 1], of each element or of a pre-rank.

    Args, Raises: as `rank_histogram`. References: Czado et al., Biometrics 65 (2009), for the randomisation.
    """
    samples, observations = checked_populations(samples, observations)
    return _pit(samples, observations, checked_key(key), _checked(prerank))


def _checked(prerank: Any) -> Prerank | None:
    return None if prerank is None else checked_function(prerank, "prerank", "points")


def average_prerank(points: Real[Array | np.ndarray, "points *event"]) -> Float[Array, " points"]:
    """The mean over elements: whether their sum is foretold, and so their bias and how they go together.

    >>> average_prerank(jnp.array([[1.0, 3.0], [0.0, 0.0]])).tolist()
    [2.0, 0.0]
    """
    return jnp.mean(_flat(points), 1)


def energy_prerank(points: Real[Array | np.ndarray, "points *event"]) -> Float[Array, " points"]:
    """The mean distance to all points: how far out each lies. Draws too narrow crowd the high ranks, too wide ones the low."""
    flat = _flat(points)
    distances = jnp.sqrt(jnp.sum((flat[:, None] - flat[None]) ** 2, -1))
    return jnp.mean(distances, 1)


def _flat(points: Array) -> Array:
    return nan_unless_finite(precise(points)).reshape(len(points), -1)


@compiled
def _rank_histogram(
    samples: Array, observations: Array, key: Key, prerank: Prerank | None, bins: int | None
) -> RankHistogram:
    place, most = _places(samples, observations, key, prerank)
    return histogram(jnp.minimum(jnp.floor(place), most), samples.shape[1], bins)  # a product with V may be rounded up


@compiled
def _pit(samples: Array, observations: Array, key: Key, prerank: Prerank | None) -> Array:
    return _places(samples, observations, key, prerank)[0] / (samples.shape[1] + 1)


def _places(samples: Array, observations: Array, key: Key, prerank: Prerank | None) -> tuple[Array, Array]:
    """Eq. (A) with NaN for what is not finite, and the largest rank that it may have."""
    samples, observations = populations(samples, observations)
    if prerank is not None:
        points = jnp.concatenate([observations[:, None], samples], 1)

        def numbers(points: Array) -> Array:
            return shaped(prerank(points), points.shape[:1], "a pre-rank")

        ranked = precise(jax.lax.map(numbers, points, batch_size=_EXAMPLES))
        observations, samples = ranked[:, 0], ranked[:, 1:]
    dtype = observations.dtype
    below = jnp.sum(samples < observations[:, None], 1, dtype=dtype)
    most = below + jnp.sum(samples == observations[:, None], 1, dtype=dtype)
    share = jax.random.uniform(key, (observations.size,), jnp.float32).reshape(observations.shape).astype(dtype)
    broken = jnp.isnan(observations) | jnp.any(jnp.isnan(samples), 1)
    return jnp.where(broken, jnp.nan, below + share * (most - below + 1)), most


def histogram(ranks: Float[Array, "n *element"], m: int, bins: int | None = None) -> RankHistogram:
    """Counts of ranks 0..m, for each element over the examples, and eq. (C); NaN where a rank is NaN."""
    bins = m + 1 if bins is None else bins
    if bins < 2 or (m + 1) % bins:
        raise ValueError(f"bins must divide the {m + 1} ranks of {m} draws into 2 or more, got {bins=}")
    n, element = ranks.shape[0], ranks.shape[1:]
    broken = jnp.isnan(ranks)
    places = jnp.where(broken, 0.0, ranks).astype(jnp.int32).reshape(n, -1)
    counts = jax.vmap(partial(jnp.bincount, length=m + 1), 1)(places).reshape(*element, m + 1).astype(ranks.dtype)
    counts = jnp.where(jnp.any(broken, 0)[..., None], jnp.nan, counts)
    merged = jnp.sum(counts.reshape(*element, bins, -1), -1)
    statistic = jnp.sum((merged - n / bins) ** 2, -1) / (n / bins)
    return RankHistogram(counts, statistic, jax.scipy.stats.chi2.sf(statistic, bins - 1))
