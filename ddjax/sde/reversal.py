"""Time turned round: Anderson's reverse SDE, and the ordinary flow with the same marginals.

    (A)  dx = [-f + div(G G^T) + G G^T score] dtau + G dW,   all at t = T - tau
    (B)  dx/dt = f - div(G G^T) / 2 - G G^T score / 2,   div(G G^T)_i = sum_j d_j (G G^T)_ij

From the law of x_T, (A) has at tau the law of x_{T - tau}, and (B), run either way, that of x_t. Their JOINT laws differ.
References: Anderson, Stochastic Processes and their Applications 12 (1982); Song et al., arXiv 2011.13456, appendix A.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array

from ddjax.inputs import checked_function
from ddjax.sde.processes import SDE, Score, diffusion_at, drift_at, squared, times_vector
from ddjax.types import Scalar, shaped


def reverse(sde: SDE, score: Score, horizon: Scalar) -> SDE:
    """Eq. (A), an SDE in tau = horizon - t.

    Args:
        score: score(x, t) of the forward law, in the forward time.
    Raises: ValueError, when called, for a score of another shape than the state.
    """
    score = checked_function(score, "score", "x", "t")
    return SDE(Partial(_reverse_drift, sde, score, horizon), Partial(_reverse_diffusion, sde, horizon))


def _reverse_drift(sde: SDE, score: Score, horizon: Scalar, x: Array, tau: Scalar) -> Array:
    t = horizon - tau
    return -drift_at(sde, x, t) + _divergence(sde, x, t) + _pull(sde, score, x, t)


def _reverse_diffusion(sde: SDE, horizon: Scalar, x: Array, tau: Scalar) -> Array:
    return diffusion_at(sde, x, horizon - tau)


def probability_flow(sde: SDE, score: Score) -> Callable[[Array, Array], Array]:
    """Eq. (B), velocity(x, t) of one example; `ordinary` makes an SDE of it, `jax.vmap` a field."""
    return Partial(_flow, sde, checked_function(score, "score", "x", "t"))


def _flow(sde: SDE, score: Score, x: Array, t: Scalar) -> Array:
    return drift_at(sde, x, t) - _divergence(sde, x, t) / 2 - _pull(sde, score, x, t) / 2


def ordinary(velocity: Callable[[Array, Array], Array]) -> SDE:
    """dx = velocity dt, without noise: the one SDE that `simulate` runs in both directions of time."""
    return SDE(checked_function(velocity, "velocity", "x", "t"), still)


def still(x: Array, t: Scalar) -> Array:
    """The diffusion of an ordinary differential equation: 0."""
    return jnp.zeros((), x.dtype)


def _pull(sde: SDE, score: Score, x: Array, t: Scalar) -> Array:
    value = shaped(score(x, t), x.shape, "a score")
    return times_vector(squared(diffusion_at(sde, x, t), x), value)


def _divergence(sde: SDE, x: Array, t: Scalar) -> Array:
    """div(G G^T), 0 where G does not depend on x."""

    def spread(x: Array) -> Array:
        return squared(diffusion_at(sde, x, t), x)

    form = jax.eval_shape(spread, x)
    if form.ndim == 0:
        return jax.grad(spread)(x)
    if form.ndim > x.ndim:
        return jnp.einsum("ijj->i", jax.jacfwd(spread)(x))
    each = jax.jacfwd(lambda flat: spread(flat.reshape(x.shape)).reshape(-1))(x.reshape(-1))
    return jnp.diagonal(each).reshape(x.shape)
