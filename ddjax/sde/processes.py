"""Stochastic differential equations, and those behind the noise schedules.

    (A)  dx = f(x, t) dt + G(x, t) dW, in the sense of Ito
    (B)  f = (alpha' / alpha) x,   G^2 = 2 sigma sigma' - 2 (alpha' / alpha) sigma^2
    (C)  dX = -(g / 2) X dt + sqrt(g) dW

Equation (B) has the conditional law x_t | x_0 ~ N(alpha x_0, sigma^2 I) of any schedule; (C) is its case of preserved variance,
sigma^2 = 1 - alpha^2, with g = -2 alpha' / alpha. In (C), d(X / alpha) = sqrt(g) / alpha dW, not sqrt(g) alpha dW, so the
variance is alpha^2 int g / alpha^2 = 1 - alpha^2.
References: Song et al., arXiv 2011.13456, section 3; Karras et al., arXiv 2206.00364, appendix B.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float

from ddjax.schedules import checked_schedule, squared_diffusion, with_rates
from ddjax.types import Scalar, Schedule, floating, known

Score = Callable[[Array, Array], Array]


class SDE(NamedTuple):
    """Eq. (A), for one example.

    Args:
        drift: f(x [d], t) -> [d]. diffusion: G(x, t) -> a scalar, [d] (a factor for each coordinate) or [d, d] (a matrix).
            A scalar or coordinate-wise G serves events of any shape.
    """

    drift: Callable[[Array, Array], Array]
    diffusion: Callable[[Array, Array], Array]


def ornstein_uhlenbeck(g: float | Callable[[Array], Array] = 1.0) -> SDE:
    """Eq. (C), for t from 0 on; its schedule is `schedules.OrnsteinUhlenbeck(g)`.

    Args:
        g: the rate, a positive number or a positive function of t.
    Raises: ValueError for a rate that is not positive and finite, where it is known.
    """
    if not callable(g):
        if known(g) and not 0 < np.asarray(g) < np.inf:
            raise ValueError(f"the rate g must be positive and finite, got {g=}")
        g = Partial(_constant, jnp.asarray(g, float))
    return SDE(Partial(_ou_drift, g), Partial(_ou_diffusion, g))


def _constant(g: Array, t: Scalar) -> Array:
    return g


def _ou_drift(g: Callable, x: Array, t: Scalar) -> Array:
    return -(g(t) / 2) * x


def _ou_diffusion(g: Callable, x: Array, t: Scalar) -> Array:
    return jnp.sqrt(g(t))


def of_schedule(schedule: Schedule) -> SDE:
    """Eq. (B): linear rates are `VariancePreserving`, those of cosine `Cosine`; sub-VP, VE and any other alike.

    Infinite where alpha = 0, as at t = 1 of `Rectified` and `Cosine`. G is NaN where the signal-to-noise ratio grows.
    """
    schedule = checked_schedule(schedule)
    return SDE(Partial(_drift, schedule), Partial(_diffusion, schedule))


def _drift(schedule: Schedule, x: Array, t: Scalar) -> Array:
    scales, rates = with_rates(schedule, t)
    return rates.alpha / scales.alpha * x


def _diffusion(schedule: Schedule, x: Array, t: Scalar) -> Float[Array, "..."]:
    return jnp.sqrt(squared_diffusion(schedule, t))


def drift_at(sde: SDE, x: Array, t: Scalar) -> Array:
    """f(x, t). Raises: ValueError for an x of integers, or a drift of another shape than x."""
    drift = jnp.asarray(sde.drift(floating(x, "states"), t))
    if drift.shape != x.shape:
        raise ValueError(f"a drift has the shape of its state, {x.shape}, got {drift.shape=}")
    return drift


def diffusion_at(sde: SDE, x: Array, t: Scalar) -> Array:
    """G(x, t). Raises: ValueError for a G that is neither a scalar, nor [d], nor [d, d]."""
    g = jnp.asarray(sde.diffusion(x, t), x.dtype)
    if g.shape not in ((), x.shape, x.shape * 2) or (g.ndim > x.ndim > 1):
        raise ValueError(f"for a state of shape {x.shape} a diffusion is (), {x.shape} or [d, d], got {g.shape=}")
    return g


def times_vector(g: Array, vector: Array) -> Array:
    """G v, of a scalar, coordinate-wise or full G."""
    return g @ vector if g.ndim > vector.ndim else g * vector


def squared(g: Array, x: Array) -> Array:
    """G G^T, in the form of G."""
    return g @ g.T if g.ndim > x.ndim else g**2
