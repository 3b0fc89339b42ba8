"""How far the end of a diffusion is from the Gaussian that sampling starts at.

    (1)  KL(N(alpha x_0, sigma^2 I) || N(0, I)) = [alpha^2 ||x_0||^2 + d (sigma^2 - 1 - log sigma^2)] / 2

By convexity its mean over data bounds KL(p_T || N(0, I)), and with it what sampling loses by that start.
References: Ho et al., arXiv 2006.11239, eq. (5), the term L_T.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from ddjax.schedules import scales_at
from ddjax.types import Scalar, Schedule


def prior_gap(schedule: Schedule, x_0: Float[Array, "*event"], t: Scalar = 1.0) -> Float[Array, ""]:
    """Eq. (1) in nats, of one example at one time; infinite where sigma = 0."""
    alpha, sigma = scales_at(schedule, t)
    excess = sigma**2 - 1
    each = (alpha * x_0) ** 2 + excess - jnp.log1p(excess)  # scalars and event-shaped scales broadcast over the event
    return jnp.sum(each) / 2
