"""The law of a data set itself, blurred: what a network with enough memory would learn.

    (A)  p_t(x) = mean_i N(x; alpha x_i, diag(sigma^2))
    (B)  score = sum_i w_i (alpha x_i - x) / sigma^2,   E[x_0 | x_t] = sum_i w_i x_i,   w = softmax_i log N(x; alpha x_i, sigma^2)

The data are read block by block, with the largest exponent so far as the unit of the sums, so that memory is that of one block.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float

from ddjax.compiled import compiled
from ddjax.inputs import checked_array, checked_count
from ddjax.schedules import checked_schedule, scales_at
from ddjax.types import Denoiser, Key, Params, Scalar, Schedule, floating, nan_unless_finite

Points = Float[Array | np.ndarray, "n d"]


class _Sums(NamedTuple):
    """Over the data so far: the largest exponent, and sums of weights and of weighted values in its unit."""

    largest: Float[Array, ""]
    weights: Float[Array, ""]
    values: Float[Array, " d"]


def empirical_log_density(
    data: Points, schedule: Schedule, x_t: Float[Array, " d"], t: Scalar, *, block: int = 1024
) -> Float[Array, ""]:
    """log p_t of eq. (A) at one point, in nats; sigma(t) > 0, NaN for data that are not finite.

    Raises: ValueError for no data, another d, a point of integers, or block < 1.
    """
    data, x_t = checked_array(data, "data [n, d]"), checked_array(x_t, "a point [d]")
    sums = _summed(data, schedule, x_t, t, block)
    sigma = jnp.broadcast_to(scales_at(schedule, t).sigma, x_t.shape)
    log_norm = jnp.sum(jnp.log(sigma)) + x_t.size / 2 * np.log(2 * np.pi) + np.log(len(data))
    return sums.largest + jnp.log(sums.weights) - log_norm


def empirical_score(
    data: Points, schedule: Schedule, x_t: Float[Array, " d"], t: Scalar, *, block: int = 1024
) -> Float[Array, " d"]:
    """The score of eq. (B) at one point; sigma(t) > 0. Raises: as `empirical_log_density`."""
    data, x_t = checked_array(data, "data [n, d]"), checked_array(x_t, "a point [d]")
    alpha, sigma = scales_at(schedule, t)
    pulls = _summed(data, schedule, x_t, t, block, alpha, x_t)
    return pulls.values / pulls.weights / sigma**2


def empirical_oracle(data: Points, schedule: Schedule, *, block: int = 1024) -> Denoiser:
    """The posterior mean of eq. (B), a denoiser as `mixtures.mean_oracle`; sigma(t) > 0. Raises: as `empirical_log_density`."""
    return Partial(_denoised, jnp.asarray(data, float), checked_schedule(schedule), checked_count(block, "block"))


def _denoised(
    data: Array, schedule: Schedule, block: int, params: Params, key: Key, x_t: Array, t: Array, cond: Any = None
) -> Array:
    def mean(x_t: Array, t: Scalar) -> Array:
        sums = _summed(data, schedule, jnp.asarray(x_t, float), t, block)
        return sums.values / sums.weights

    return jax.vmap(mean)(x_t, t).astype(floating(x_t, "states").dtype)


def _summed(
    data: Points, schedule: Schedule, x_t: Array, t: Scalar, block: int, factor: Scalar | Array = 1.0, less: Any = 0.0
) -> _Sums:
    """Sums over the data of weights, and of weights times (factor x_i - less)."""
    block = checked_count(block, "block")
    if data.ndim != 2 or data.shape[1:] != x_t.shape or not len(data):
        raise ValueError(f"need data [n, d] and a point [d], got {data.shape=}, {x_t.shape=}")
    floating(x_t, "points")
    factor, less = (jnp.broadcast_to(jnp.asarray(a, x_t.dtype), x_t.shape) for a in (factor, less))
    return _scanned(jnp.asarray(data, x_t.dtype), schedule, x_t, jnp.asarray(t, float), block, factor, less)


@compiled
def _scanned(data: Array, schedule: Schedule, x_t: Array, t: Array, block: int, factor: Array, less: Array) -> _Sums:
    alpha, sigma = scales_at(schedule, t)
    n, block = len(data), min(block, len(data))
    blocks = jnp.pad(nan_unless_finite(data), ((0, -n % block), (0, 0))).reshape(-1, block, data.shape[1])
    held = (jnp.arange(blocks.shape[0] * block) < n).reshape(-1, block)

    def add(sums: _Sums, inputs: tuple[Array, Array]) -> tuple[_Sums, None]:
        x_0, held = inputs
        apart = jax.vmap(lambda x_0: (x_t - alpha * x_0) / sigma)(x_0)
        exponent = jnp.where(held, -jnp.sum(apart**2, -1) / 2, -jnp.inf)
        largest = jax.lax.stop_gradient(jnp.maximum(sums.largest, jnp.max(exponent)))
        before, weights = jnp.exp(sums.largest - largest), jnp.exp(exponent - largest)
        values = jnp.sum(jax.vmap(lambda weight, x_0: weight * (factor * x_0 - less))(weights, x_0), 0)
        return _Sums(largest, before * sums.weights + jnp.sum(weights), before * sums.values + values), None

    start = _Sums(jnp.asarray(-jnp.inf, x_t.dtype), jnp.zeros((), x_t.dtype), jnp.zeros_like(x_t))
    return jax.lax.scan(add, start, (blocks, held))[0]
