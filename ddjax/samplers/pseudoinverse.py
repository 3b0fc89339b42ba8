"""Pseudoinverse guidance (PiGDM): a mean denoiser given a linear measurement y = A x_0 + N(0, noise^2 I).

    (A)  p(x_0 | x_t) ~ N(D, R^2),   R = diag(r),   r^2 = v sigma^2 / (alpha^2 v + sigma^2),   D = E[x_0 | x_t]
    (B)  p(y | x_t)   ~ N(A D, A R^2 A^T + noise^2 I)
    (C)  D_y = D + scale sigma^2 / alpha J^T A^T (A R^2 A^T + noise^2 I)^-1 (y - A D),   J = dD / dx_t

r is one number, or one for each coordinate where the scales are event-shaped. Eq. (C) is Tweedie's formula with the gradient of
eq. (B), D held fixed in r. For data N(mu, v I) eq. (A) is exact and J = diag(alpha r^2 / sigma^2), so that eq. (C) is the exact
E[x_0 | x_t, y]; for other data r guesses the posterior's spread by that of a Gaussian. `conditioning.plugged_in` is r = 0.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float

from ddjax.inputs import checked_array, checked_denoise
from ddjax.schedules import checked_schedule
from ddjax.types import Denoise, Key, Scalar, Schedule, floating, known


def pseudoinverse_guided(
    denoise: Denoise,
    matrix: Float[Array | np.ndarray, "_ _"],
    schedule: Schedule,
    *,
    y: Float[Array | np.ndarray, "_ _"],
    noise: Scalar,
    variance: Scalar = 1.0,
    scale: Scalar = 1.0,
) -> Denoise:
    """The mean given y, eq. (C), for the samplers that a mean serves; of a network it costs one evaluation and one gradient.

    Args:
        denoise: the mean D. matrix: A [m, d], on an event of d elements in a row, concrete. y: [batch, m], of every example.
        noise: standard deviation of the measurement, > 0. variance: v of each element of the data, > 0.
        scale: of the guidance; 1 is eq. (C) as derived. At alpha = 0, where that is 0/0, alpha is taken for .001.
    Raises: ValueError for shapes that do not fit, or a noise or variance that is not positive.
    References: Song et al., Pseudoinverse-guided diffusion models for inverse problems (PiGDM), ICLR 2023, PiGDM eq. (7),
        in alpha and sigma.
    """
    matrix, y = checked_array(matrix, "a matrix [m, d]"), checked_array(y, "measurements [batch, m]")
    if jnp.ndim(matrix) != 2 or jnp.ndim(y) != 2 or jnp.shape(y)[1] != jnp.shape(matrix)[0]:
        raise ValueError(f"need matrix [m, d] and y [batch, m], got {jnp.shape(matrix)=}, {jnp.shape(y)=}")
    for name, value in {"noise": noise, "variance": variance}.items():
        if known(value) and not 0 < np.asarray(value) < np.inf:
            raise ValueError(f"{name} must be positive and finite, got {value}")
    left, singular, _ = np.linalg.svd(np.asarray(matrix, np.float64), full_matrices=False)
    parts = tuple(jnp.asarray(part, float) for part in (matrix, left, singular, y, noise, variance, scale))
    return Partial(_guided, checked_denoise(denoise), checked_schedule(schedule), parts)


def _guided(
    denoise: Denoise, schedule: Schedule, parts: tuple[Array, ...], key: Key, x_t: Array, t: Array, *cond: Array
) -> Array:
    matrix, left, singular, y, noise, variance, scale = parts
    n, d = x_t.shape[0], matrix.shape[1]
    if x_t[0].size != d or y.shape[0] != n:
        raise ValueError(f"need events of {d} elements, as many as y, got {x_t.shape=} for {y.shape=}")
    mean, pull = jax.vjp(lambda x_t: denoise(key, x_t, t, *cond), floating(x_t, "states"))

    def back(mean: Array, y: Array, t: Array) -> Array:
        """A^T (A R^2 A^T + noise^2 I)^-1 (y - A D), by the singular values of A R."""
        alpha, sigma = schedule(t)
        r = jnp.sqrt(variance / (alpha**2 * variance + sigma**2)) * sigma
        if r.ndim:
            axes, values, _ = jnp.linalg.svd(matrix * r.reshape(1, d), full_matrices=False)
        else:
            axes, values = left, singular * r
        missed = _times(y - _times(matrix, mean.reshape(d).astype(y.dtype)), axes)
        return _times(_times(axes, missed / (values**2 + noise**2)), matrix).reshape(mean.shape).astype(mean.dtype)

    def moved(mean: Array, gradient: Array, t: Array) -> Array:
        alpha, sigma = schedule(t)
        return mean + (scale * sigma**2 / jnp.maximum(alpha, 1e-3) * gradient.astype(y.dtype)).astype(mean.dtype)

    (gradient,) = pull(jax.vmap(back)(mean, y, t))
    return jax.vmap(moved)(mean, gradient, t)


def _times(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision="highest")
