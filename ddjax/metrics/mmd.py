"""Maximum mean discrepancy and energy distance between two samples, in blocks.

    (A)  MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y) = (2 E rho(x, y) - E rho(x, x') - E rho(y, y')) / scale

with rho = scale (k(0) - k) as in `scoring`: the constant k(0) drops out, and nothing cancels for close points. Memory is
that of one block of rows against the other sample. References: Gretton et al., JMLR 13 (2012), lemma 6.
"""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from ddjax import scoring
from ddjax.compiled import compiled
from ddjax.inputs import checked_array
from ddjax.metrics.points import on_device
from ddjax.types import Scalar

_ROWS = 64  # rows of a block: 64 x 50,000 distances are 13 MB


@compiled
def _mmd(x: Array | np.ndarray, y: Array | np.ndarray, kernel: scoring.Kernel, estimator: str) -> Array:
    x, y = on_device(x, y)

    def mean_rho(a: Array, b: Array) -> Array:
        columns = b.T  # points along the last axis: nine times faster than [m, d] on a CPU for small d

        def row(point: Array) -> Array:
            return jnp.mean(kernel.rho(jnp.sum((point[:, None] - columns) ** 2, 0)))

        return jnp.mean(jax.lax.map(row, a, batch_size=_ROWS))

    def within(a: Array) -> Array:
        n = a.shape[0]
        return mean_rho(a, a) * (n / (n - 1) if estimator == "u" else 1.0)

    return (2 * mean_rho(x, y) - within(x) - within(y)) / jnp.asarray(kernel.scale, x.dtype)


def mmd(
    x: Real[Array | np.ndarray, "n d"],
    y: Real[Array | np.ndarray, "m d"],
    *,
    kernel: scoring.Kernel | None = None,
    estimator: Literal["u", "v"] = "u",
) -> Float[Array, ""]:
    """MMD^2 (squared) between samples, eq. (A), in float32 or better; NaN for points that are not finite.

    Args:
        kernel: from `scoring`: rbf (of bandwidth 1 by default), imq, exponential (Laplace), energy. Its numbers may be
            arrays, as in `rbf(jnp.median(distances))`, and a new value compiles nothing anew.
        estimator: "u" is unbiased and may be negative; "v" includes the pairs of a point with itself and is >= 0.
    Raises: ValueError for samples of different dimension, fewer than 2 points, or an unknown estimator.

    >>> points = jnp.arange(6.0).reshape(3, 2)
    >>> print(f"{mmd(points, points, estimator='v'):.1f}")
    0.0
    """
    x, y = checked_array(x, "samples [n, d]"), checked_array(y, "samples [m, d]")
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(f"need samples [n, d] and [m, d] of at least 2 points, got {x.shape=}, {y.shape=}")
    if estimator not in ("u", "v"):
        raise ValueError(f'estimator must be "u" or "v", got {estimator!r}')
    numbers_as_arrays = jax.tree.map(jnp.asarray, scoring.rbf() if kernel is None else kernel)
    return _mmd(x, y, numbers_as_arrays, estimator)


def energy_distance(
    x: Real[Array | np.ndarray, "n d"],
    y: Real[Array | np.ndarray, "m d"],
    *,
    beta: Scalar = 1.0,
    estimator: Literal["u", "v"] = "u",
) -> Float[Array, ""]:
    """2 E||x - y||^beta - E||x - x'||^beta - E||y - y'||^beta: eq. (A) with the energy kernel. Raises: as `mmd`.

    >>> x, y = jnp.zeros((2, 1)), jnp.full((2, 1), 3.0)
    >>> print(energy_distance(x, y))  # 2 |0 - 3|
    6.0
    """
    return mmd(x, y, kernel=scoring.energy(beta), estimator=estimator)
