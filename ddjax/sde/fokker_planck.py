"""The law that evolves: how far a density is from obeying the Fokker-Planck equation of an SDE.

    (A)  d_t p = -div(f p) + 1/2 sum_ij d_i d_j ((G G^T)_ij p) = -div(v p),   v = f - div(G G^T) / 2 - G G^T grad log p / 2
    (B)  residual = (d_t p + div(v p)) / p = d_t log p + div v + v . grad log p

The right side of (A) is the continuity equation of the probability flow: the two are one statement.
References: Risken, The Fokker-Planck Equation (1989), chapter 4; Song et al., arXiv 2011.13456, appendix D.1.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ddjax.sde.processes import SDE
from ddjax.sde.reversal import probability_flow
from ddjax.types import Scalar, floating


def fokker_planck_residual(
    sde: SDE, log_density: Callable[[Array, Array], Array], x: Float[Array, " d"], t: Scalar
) -> Float[Array, ""]:
    """Eq. (B) at one point and time, by automatic differentiation, a rate per unit of time: 0 for the law of the SDE.

    Args:
        log_density: log p(x, t) in nats, twice differentiable in x. Rounding needs float64 for residuals below 1e-4.
    Raises: ValueError for an x of integers, or a log density that is not a scalar.
    """
    x = floating(x, "states")
    t = jnp.asarray(t, x.dtype)
    slope = jax.eval_shape(log_density, x, t)
    if getattr(slope, "shape", None) != ():
        raise ValueError(f"a log density of one point is a scalar, got {slope}")
    score = jax.grad(log_density)
    velocity = probability_flow(sde, score)
    value, derivative = jax.linearize(lambda x: velocity(x, t), x)
    directions = jnp.eye(x.size, dtype=x.dtype)
    divergence = jnp.trace(jax.vmap(derivative)(directions))
    return jax.grad(log_density, 1)(x, t) + divergence + value @ score(x, t)
