"""Two samples at the door: their shapes and precision, and the point that they are measured from."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from ddjax.inputs import checked_array
from ddjax.types import precise

Sample = Num[Array | np.ndarray, "_ d"]


def alike(x: Num[Array | np.ndarray, "..."], y: Num[Array | np.ndarray, "..."]) -> tuple[Array, Array]:
    """Both arrays in one precision, the better one of the two, and at least float32."""
    x, y = precise(x), precise(y)
    dtype = np.promote_types(x.dtype, y.dtype)
    return x.astype(dtype), y.astype(dtype)


def samples(x: Any, y: Any) -> tuple[Float[Array, "n d"], Float[Array, "m d"]]:
    """Two samples of points in one space, in one precision. Raises: ValueError for any other shapes, or for no points."""
    x, y = checked_array(x, "samples [n, d]"), checked_array(y, "samples [m, d]")
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or 0 in (*x.shape, *y.shape):
        raise ValueError(f"need samples [n, d] and [m, d], got {x.shape=}, {y.shape=}")
    return alike(x, y)


def centred(x: Float[Array, "n d"], y: Float[Array, "m d"]) -> tuple[Array, Array, Array]:
    """Each sample less its mean, and mean x - mean y: what squares and products keep their digits in.

    Transport at a cost of ||x - y||^2 sees the means in a constant alone, so that each sample may have its own.
    """
    centre = jnp.mean(y, 0, keepdims=True)  # a common one first, for means are rounded by as much as they are large
    x, y = x - centre, y - centre
    mean_x, mean_y = jnp.mean(x, 0, keepdims=True), jnp.mean(y, 0, keepdims=True)
    return x - mean_x, y - mean_y, (mean_x - mean_y)[0]


def squared_shift(x: Float[Array, "n d"], y: Float[Array, "m d"], apart: Float[Array, " d"]) -> Float[Array, ""]:
    """What `apart` adds to the mean of ||x_i - y_j||^2 over any plan with uniform marginals."""
    return jnp.sum(apart**2) + 2 * jnp.sum(apart * (jnp.mean(x, 0) - jnp.mean(y, 0)))


def standard(x: Float[Array, "n d"], y: Float[Array, "m d"]) -> tuple[Array, Array, Float[Array, ""]]:
    """Both samples about one point and in one unit, so that no power of their distances overflows or vanishes; the unit."""
    centre = jnp.mean(y, 0, keepdims=True)
    x, y = x - centre, y - centre
    largest = jax.lax.stop_gradient(jnp.maximum(jnp.max(jnp.abs(x)), jnp.max(jnp.abs(y))))
    unit = jnp.where(largest == 0, 1.0, largest)
    return x / unit, y / unit, unit


def power(value: Float[Array, "*n"], exponent: Float[Array, ""]) -> Float[Array, "*n"]:
    """value ** exponent for value >= 0, with derivative 0 at 0, where the plain power of a distance has none."""
    zero = value == 0
    return jnp.where(zero, 0.0, jnp.where(zero, 1.0, value) ** exponent)
