"""How far the end of a diffusion is from the Gaussian that sampling starts at.

    (A)  KL(N(alpha x_0, sigma^2 I) || N(0, I)) = [alpha^2 ||x_0||^2 + d (sigma^2 - 1 - log sigma^2)] / 2
    (B)  e - log(1 + e) = z (e - 2 z^2 (1/3 + z^2/5 + z^4/7 + ...)),   z = e / (2 + e),   e = sigma^2 - 1

By convexity its mean over data bounds KL(p_T || N(0, I)), and with it what sampling loses by that start. The left side of (B) has
no digits left near sigma = 1, where the right side has all.
References: Ho et al. (DDPM), arXiv 2006.11239, DDPM eq. (5), the term L_T.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ddjax.schedules import scales_at
from ddjax.types import Scalar, Schedule

_SERIES = 1 / np.arange(41, 1, -2)  # for |e| < 1/2 exact to float64
_NEAR = 0.5


def prior_gap(schedule: Schedule, x_0: Float[Array, "*event"], t: Scalar = 1.0) -> Float[Array, ""]:
    """Eq. (A) in nats, of one example at one time; infinite where sigma = 0.

    >>> from ddjax import schedules
    >>> print(f"{prior_gap(schedules.Rectified(), jnp.array([2.0]), 0.5):.4f}")  # (1 + 1/4 - 1 + log 4) / 2
    0.8181
    """
    alpha, sigma = scales_at(schedule, t)
    excess = (sigma - 1) * (sigma + 1)
    z = excess / (2 + excess)
    series = z * (excess - 2 * z**2 * jnp.polyval(jnp.asarray(_SERIES, z.dtype), z**2))
    spread = jnp.where(jnp.abs(excess) < _NEAR, series, excess - 2 * jnp.log(sigma))
    each = (alpha * jnp.asarray(x_0, float)) ** 2 + spread  # scalars and event-shaped scales broadcast over the event
    return jnp.sum(each) / 2
