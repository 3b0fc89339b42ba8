"""The participation ratio: how many directions a law spreads over.

    (A)  PR(S) = tr(S)^2 / tr(S^2) = (sum_j s_j^2)^2 / sum_j s_j^4,   1 for one direction, d for d equal ones
    (B)  unscaled: s_j^2 + C_j(t) = s_j^2 + (sigma_j / alpha_j)^2
    (C)  scaled:   alpha_j^2 s_j^2 + sigma_j^2
    (D)  whitened: (C) / s_j^2, the scaled coordinates of the paper with A_0 = 1

Of a PR-preserving flow (D) is the identity at every time, and its ratio d: preserved, and wrong, for it says nothing of the
data. (B) and (C) are the same ratio wherever all directions have one alpha, as here.
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
    """PR of a covariance, or of the vector of its eigenvalues, eq. (A), in [1, d]; NaN for a law without spread.

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
    """PR(t) of the marginals along a flow: unscaled, eq. (B), scaled, eq. (C), and whitened, eq. (D), trivially d if preserving."""

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
    """Variances of x_t, eq. (C).

    >>> from ddjax import schedules
    >>> scaled_variances(schedules.Rectified(), jnp.array([4.0, 1.0]), 0.5).tolist()  # (4 + 1) / 4, (1 + 1) / 4
    [1.25, 0.5]
    """
    alpha, sigma = scales_at(schedule, t)
    return alpha**2 * jnp.asarray(variances, float) + sigma**2


def unscaled_variances(schedule: Schedule, variances: Float[Array | np.ndarray, " d"], t: Scalar) -> Float[Array, " d"]:
    """Variances of x_t / alpha, the data and the noise added to them, eq. (B)."""
    alpha, sigma = scales_at(schedule, t)
    return jnp.asarray(variances, float) + (sigma / alpha) ** 2
