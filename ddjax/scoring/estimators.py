"""Estimators of E rho(xhat, xhat') from m draws of one law.

The mean over pairs j != j' already divides by m (m - 1).
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from ddjax.inputs import checked_array, checked_count

Draws = Float[Array, "m *event"]
Estimator = Callable[[Draws, Callable[[Array], Array]], Array]


def fair(samples: Draws, rho: Callable[[Array], Array]) -> Float[Array, ""]:
    """Unbiased: the mean over all pairs j != j' (U-statistic), each unordered pair computed once."""
    samples = checked_array(samples, "samples [m, *event]")
    m = samples.shape[0]
    total = sum(jnp.sum(rho(samples[lag:] - samples[:-lag])) for lag in range(1, m))
    return total / (m * (m - 1) / 2)


def biased(samples: Draws, rho: Callable[[Array], Array]) -> Float[Array, ""]:
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

    def almost_fair_estimator(samples: Draws, rho: Callable[[Array], Array]) -> Float[Array, ""]:
        samples = checked_array(samples, "samples [m, *event]")
        return (1 - (1 - fairness) / samples.shape[0]) * fair(samples, rho)

    return almost_fair_estimator


def paired(samples: Draws, rho: Callable[[Array], Array]) -> Float[Array, ""]:
    """Unbiased in O(m): the mean over the disjoint pairs (1, 2), (3, 4), ..."""
    samples = checked_array(samples, "samples [m, *event]")
    half = samples.shape[0] // 2
    return jnp.mean(rho(samples[: 2 * half : 2] - samples[1 : 2 * half : 2]))


def banded(width: int) -> Estimator:
    """Unbiased in O(width m): the mean over pairs at most `width` apart in the order of the draws.

    Raises: ValueError for a width below 1.
    """
    width = checked_count(width, "width")

    def banded_estimator(samples: Draws, rho: Callable[[Array], Array]) -> Float[Array, ""]:
        samples = checked_array(samples, "samples [m, *event]")
        lags = range(1, min(width, samples.shape[0] - 1) + 1)
        values = [rho(samples[lag:] - samples[:-lag]) for lag in lags]
        return jnp.mean(jnp.concatenate(values))

    return banded_estimator


_NAMED = {"fair": fair, "v": biased, "almost_fair": almost_fair(), "paired": paired}


def estimator_of(estimator: str | Estimator) -> Estimator:
    """The estimator of a name, or the function given. Raises: ValueError for an unknown name."""
    if callable(estimator):
        return estimator
    if estimator not in _NAMED:
        raise ValueError(f"estimator must be one of {sorted(_NAMED)} or a function, got {estimator!r}")
    return _NAMED[estimator]
