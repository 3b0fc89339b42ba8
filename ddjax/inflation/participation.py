"""The participation ratio: how many directions a law spreads over.

    (1)  PR(S) = tr(S)^2 / tr(S^2) = (sum_j s_j^2)^2 / sum_j s_j^4,   1 for one direction, d for d equal ones
    (2)  unscaled: s_j^2 + C_j(t) = s_j^2 + (sigma_j / alpha_j)^2
    (3)  scaled:   alpha_j^2 s_j^2 + sigma_j^2
    (4)  whitened: (3) / s_j^2, the scaled coordinates of the paper with A_0 = 1

Of a PR-preserving flow (4) is the identity at every time, and its ratio d: preserved, and wrong, for it says nothing of the
data. (2) and (3) are the same ratio wherever all directions have one alpha, as here.
References: de Albuquerque and Pearson, arXiv 2407.08843.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ddjax.inputs import checked_array
from ddjax.schedules import scales_at
from ddjax.types import Scalar, Schedule


def participation_ratio(cov: Float[Array | np.ndarray, "d d"] | Float[Array | np.ndarray, " d"]) -> Float[Array, ""]:
    """PR of a covariance, or of the vector of its eigenvalues, eq. (1), in [1, d]; NaN for a law without spread.

    Raises: ValueError for any other shape.

    >>> print(participation_ratio(np.eye(3)), participation_ratio(np.ones((3, 3))))
    3.0 1.0
    """
    cov = checked_array(cov, "a covariance [d, d]")
    if cov.ndim not in (1, 2) or cov.shape[0] != cov.shape[-1]:
        raise ValueError(f"need a covariance [d, d], or its eigenvalues [d], got {cov.shape=}")
    spread = jnp.asarray(cov, float)
    spread = spread / jnp.max(jnp.abs(spread))  # so that no square overflows
    return (jnp.sum(spread) if cov.ndim == 1 else jnp.trace(spread)) ** 2 / jnp.sum(spread**2)


class Participation(NamedTuple):
    """PR(t) of the marginals along a flow: unscaled, eq. (2), scaled, eq. (3), and whitened, eq. (4), trivially d if preserving."""

    unscaled: Float[Array, " k"]
    scaled: Float[Array, " k"]
    whitened: Float[Array, " k"]


def participation(
    schedule: Schedule, variances: Float[Array | np.ndarray, " d"], times: Float[Array | np.ndarray, " k"]
) -> Participation:
    """PR(t) at each time, of data with these variances in their eigenbasis under any schedule."""

    def at(t: Scalar) -> Participation:
        spreads = (unscaled_variances, scaled_variances)
        unscaled, scaled = (spread(schedule, variances, t) for spread in spreads)
        whitened = scaled / jnp.asarray(variances, scaled.dtype)
        return Participation(*map(participation_ratio, (unscaled, scaled, whitened)))

    return jax.vmap(at)(jnp.asarray(times, float))


def scaled_variances(schedule: Schedule, variances: Float[Array | np.ndarray, " d"], t: Scalar) -> Float[Array, " d"]:
    """Variances of x_t, eq. (3).

    >>> from ddjax import schedules
    >>> scaled_variances(schedules.Rectified(), jnp.array([4.0, 1.0]), 0.5).tolist()  # (4 + 1) / 4, (1 + 1) / 4
    [1.25, 0.5]
    """
    alpha, sigma = scales_at(schedule, t)
    return alpha**2 * jnp.asarray(variances, float) + sigma**2


def unscaled_variances(schedule: Schedule, variances: Float[Array | np.ndarray, " d"], t: Scalar) -> Float[Array, " d"]:
    """Variances of x_t / alpha, the data and the noise added to them, eq. (2)."""
    alpha, sigma = scales_at(schedule, t)
    return jnp.asarray(variances, float) + (sigma / alpha) ** 2
