"""Whether the spread of draws is the size of their error.

    (A)  ratio^2 = (m + 1) / m  mean_i s_i^2 / mean_i (y_i - xbar_i)^2

with xbar_i and s_i^2 the mean and the variance (ddof 1) of the m draws of example i, and means over elements too. For draws of
the law of y_i both sides of the fraction have the same mean: Var(y) + Var(y) / m.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ddjax.metrics.points import Observations, Populations, checked_populations, populations


def spread_skill(samples: Populations, observations: Observations) -> Float[Array, ""]:
    """Spread over error of draws [n, m, *event] of observations [n, *event], the root of eq. (A).

    1 where draws are calibrated, below where they are too narrow, above where they are too wide; a bias lowers it. NaN for
    numbers that are not finite, infinite where the mean of the draws has no error.

    Raises: ValueError for shapes that do not fit, or fewer than 2 draws.
    References: Fortin et al., J. Hydrometeorol. 15 (2014), for the factor (m + 1) / m and the mean before the root.
    """
    return _spread_skill(*checked_populations(samples, observations))


@jax.jit
def _spread_skill(samples: Array, observations: Array) -> Array:
    samples, observations = populations(samples, observations, least=2)
    errors = samples - observations[:, None]  # first, far from the origin
    m = samples.shape[1]
    return jnp.sqrt((m + 1) / m * jnp.mean(jnp.var(errors, 1, ddof=1)) / jnp.mean(jnp.mean(errors, 1) ** 2))
