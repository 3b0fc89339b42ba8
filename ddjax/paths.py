"""The forward marginal and the bridge back, for one example.

    (A)  x_t = alpha_t x_0 + sigma_t noise
    (B)  r = (alpha_t / alpha_s) (sigma_s / sigma_t),   kappa = churn^2 r + (1 - churn^2) = 1 - churn^2 (1 - r)
    (C)  p(x_s | x_0, x_t) = N(c_0 x_0 + c_t x_t, std^2 I),
         c_t = (sigma_s / sigma_t) kappa,   c_0 = alpha_s - c_t alpha_t,   std = sigma_s sqrt(1 - kappa^2)

Equation (C) keeps the marginals for every churn: c_t alpha_t + c_0 = alpha_s and c_t^2 sigma_t^2 + std^2 = sigma_s^2.
The ratio in (B) is LINEAR in sigma; with squared ratios neither identity holds.
References: De Bortoli et al. (DDM), arXiv 2502.02483, DDM eq. (4) and section 2; Song et al. (DDIM), arXiv 2010.02502,
DDIM eq. (7).
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ddjax.schedules import scales_at, snr_loss
from ddjax.types import Key, Scalar, Schedule, floating, known, standard_normal


def interpolate(
    schedule: Schedule, x_0: Float[Array, "*event"], noise: Float[Array, "*event"], t: Scalar
) -> Float[Array, "*event"]:
    """x_t of eq. (A), in the dtype of the noise. Raises: ValueError for a noise of integers.

    >>> from ddjax import schedules
    >>> print(interpolate(schedules.Rectified(), jnp.array([4.0]), jnp.array([8.0]), 0.25))
    [5.]
    """
    alpha, sigma = scales_at(schedule, t)
    noise = floating(noise, "noises")
    return (alpha * jnp.asarray(x_0, float) + sigma * jnp.asarray(noise, float)).astype(noise.dtype)


def prior(schedule: Schedule, key: Key, shape: tuple[int, ...]) -> Float[Array, "*batch_event"]:
    """Where sampling starts: x_1 = sigma(1) noise, of the given shape [batch, *event].

    Raises: ValueError for a shape that is no tuple.
    """
    if not isinstance(shape, tuple | list):
        raise ValueError(f"the shape is that of a batch, (batch, *event), got {shape!r}")
    return jnp.broadcast_to(scales_at(schedule, 1.0).sigma, shape) * standard_normal(key, tuple(shape))


def bridge(
    schedule: Schedule,
    x_0: Float[Array, "*event"],
    x_t: Float[Array, "*event"],
    t: Scalar,
    s: Scalar,
    *,
    churn: Scalar = 1.0,
) -> tuple[Float[Array, "*event"], Float[Array, "..."]]:
    """Mean and standard deviation of x_s given both ends, eq. (C), DDM eq. (4), 0 <= s < t.

    Args:
        churn: in [0, 1]; 0 is deterministic (DDIM, std = 0), 1 the exact posterior of the forward process (DDPM).
    Returns: mean [*event], std (scalar, or event-shaped where the scales are), in float32 or better. s = 0 returns x_0
        where sigma(0) = 0.
    Raises: ValueError for s >= t or a churn outside [0, 1], where they are concrete.

    >>> from ddjax import schedules
    >>> mean, std = bridge(schedules.Rectified(), jnp.array([0.0]), jnp.array([1.0]), 1.0, 0.5, churn=0.0)
    >>> print(mean, std)  # on the line from x_1 to x_0
    [0.5] 0.0
    """
    if known(t, s) and not np.asarray(s) < np.asarray(t):
        raise ValueError(f"a reverse step needs s < t, got {s=}, {t=}")
    if known(churn) and not 0 <= np.asarray(churn) <= 1:
        raise ValueError(f"churn must lie in [0, 1], got {churn=}")
    alpha_s, sigma_s = scales_at(schedule, s)
    gap = snr_loss(schedule, t, s)  # 1 - r
    kappa = 1 - churn**2 * gap
    # c_0 = alpha_s (1 - r kappa) and 1 - kappa^2, both factored through 1 - r so that nothing cancels twice
    c_0 = alpha_s * gap * (1 + churn**2 * (1 - gap))
    c_t = (sigma_s / scales_at(schedule, t).sigma) * kappa
    std = sigma_s * churn * jnp.sqrt(gap * (1 + kappa))
    return c_0 * jnp.asarray(x_0, float) + c_t * jnp.asarray(x_t, float), std
