"""How elements go together, by the moments of their differences.

    (A)  score = sum_ij w_ij (|y_i - y_j|^p - mean_k |x_ki - x_kj|^p)^2

for an observation y and draws x_1..m, over all pairs (i, j) of elements of the flattened event. It sees correlations that the
energy score hardly does, and is proper, but not strictly: what moves all elements by the same amount changes nothing. That is why
it lies here and is no rule to train with.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from ddjax.inputs import checked_array
from ddjax.metrics.points import populations
from ddjax.transport.samples import power
from ddjax.types import Scalar, known, nan_unless_finite, precise

_ROWS = 64  # elements that are compared with all others at once


def variogram_score(
    samples: Real[Array | np.ndarray, "m *event"],
    observation: Real[Array | np.ndarray, "*event"],
    *,
    p: Scalar = 0.5,
    weights: Real[Array | np.ndarray, "d d"] | None = None,
) -> Float[Array, ""]:
    """Eq. (A) of one example, in float32 or better; NaN for numbers that are not finite.

    Args:
        p: > 0, the power; .5 resists outliers. weights: w [d, d], >= 0, of pairs of elements; 1 unless told.
    Raises: ValueError for shapes that do not fit, no draw, a p that is not positive and finite, or a negative weight.
    References: Mon. Wea. Rev. 143 (2015), Scheuerer and Hamill eq. (7).
    """
    samples, observation = checked_array(samples, "samples [m, *event]"), checked_array(observation, "an observation")
    weights = None if weights is None else checked_array(weights, "weights [d, d]")
    if known(p) and not 0 < p < float("inf"):
        raise ValueError(f"need a positive finite power, got {p=}")
    d = int(np.prod(np.shape(observation)))
    if weights is not None and jnp.shape(weights) != (d, d):
        raise ValueError(f"need a weight for each pair of {d} elements, got {jnp.shape(weights)=}")
    if weights is not None and known(weights) and (np.asarray(weights) < 0).any():
        raise ValueError(f"weights are not negative, got {weights=}")
    return _variogram_score(samples, observation, jnp.asarray(p, float), weights)


@jax.jit
def _variogram_score(samples: Array, observation: Array, p: Array, weights: Array | None) -> Array:
    samples, observation = populations(precise(samples)[None], precise(observation)[None])
    draws, truth = samples.reshape(samples.shape[1], -1), observation.reshape(-1)
    p = p.astype(truth.dtype)

    def row(i: Array) -> Array:
        foretold = jnp.mean(power(jnp.abs(draws - draws[:, i][:, None]), p), 0)
        squares = (power(jnp.abs(truth - truth[i]), p) - foretold) ** 2
        return jnp.sum(squares if weights is None else nan_unless_finite(precise(weights))[i].astype(p.dtype) * squares)

    return jnp.sum(jax.lax.map(row, jnp.arange(truth.size), batch_size=_ROWS))
