"""Estimators of E rho(xhat, xhat') from m draws of one law, in the place of the fair one of `scores.score`.

Each takes draws [m, *event], and rho of differences [n, *event] -> [n], to a number; `estimated(rule, paired)` uses it.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from ddjax.inputs import checked_array, checked_count, checked_draws
from ddjax.scoring.scores import Draws, Observation, Rho, Terms, score
from ddjax.types import Scalar, precise

Events = Float[Array, "m *event"]
Estimator = Callable[[Events, Rho], Array]


def score_by(estimator: Estimator, rho: Rho, samples: Draws, observation: Observation, lam: Scalar) -> Terms:
    """`scores.score` with the interaction of an estimator. Raises: ValueError for fewer than 2 draws."""
    samples, observation = checked_draws(samples, observation)
    if samples.shape[0] < 2:
        raise ValueError(f"a population of at least 2 is needed for lam > 0, got {samples.shape=} and {lam=}")
    samples = precise(samples)  # once, so that the gradients of both parts are added in float32
    confinement = score(rho, samples, observation, 0.0).confinement
    interaction = estimator(samples, rho)
    return Terms(confinement - jnp.asarray(lam, samples.dtype) / 2 * interaction, confinement, interaction)


def fair(samples: Events, rho: Rho) -> Float[Array, ""]:
    """Unbiased: the mean over all pairs j != j' (U-statistic), the interaction of `score`."""
    samples = checked_array(samples, "samples [m, *event]")
    return score(rho, samples, samples[0], 1.0).interaction


def biased(samples: Events, rho: Rho) -> Float[Array, ""]:
    """V-statistic: divides by m^2, which acts as lam (m - 1) / m."""
    samples = checked_array(samples, "samples [m, *event]")
    m = samples.shape[0]
    return fair(samples, rho) * (m - 1) / m


def almost_fair(fairness: float = 0.95) -> Estimator:
    """a U + (1 - a) V of the fair U and the biased V = U (m - 1) / m, for any m.

    That is (1 - epsilon) U with epsilon = (1 - a) / m, which is (1 - a) / 2 for two draws alone.

    Args:
        fairness: a, in [0, 1].
    Raises: ValueError for another a.
    References: Lang et al., arXiv 2412.15832.
    """
    if not 0 <= fairness <= 1:
        raise ValueError(f"fairness must lie in [0, 1], got {fairness=}")

    def almost_fair_estimator(samples: Events, rho: Rho) -> Float[Array, ""]:
        samples = checked_array(samples, "samples [m, *event]")
        return (1 - (1 - fairness) / samples.shape[0]) * fair(samples, rho)

    return almost_fair_estimator


def paired(samples: Events, rho: Rho) -> Float[Array, ""]:
    """Unbiased in O(m): the mean over the disjoint pairs (1, 2), (3, 4), ..."""
    samples = checked_array(samples, "samples [m, *event]")
    half = samples.shape[0] // 2
    return jnp.mean(rho(samples[: 2 * half : 2] - samples[1 : 2 * half : 2]))


def banded(width: int) -> Estimator:
    """Unbiased in O(width m): the mean over pairs at most `width` apart in the order of the draws.

    Raises: ValueError for a width below 1.
    """
    width = checked_count(width, "width")

    def banded_estimator(samples: Events, rho: Rho) -> Float[Array, ""]:
        samples = checked_array(samples, "samples [m, *event]")
        lags = range(1, min(width, samples.shape[0] - 1) + 1)
        values = [rho(samples[lag:] - samples[:-lag]) for lag in lags]
        return jnp.mean(jnp.concatenate(values))

    return banded_estimator
