"""Weights w(t) of the loss: functions of one time, applied to each example's own loss (never batch mean times batch mean)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ddjax.schedules import logsnr
from ddjax.types import Scalar, Schedule, precise

Weight = Callable[[Scalar], Float[Array, ""]]


def uniform(t: Scalar) -> Float[Array, ""]:
    """w(t) = 1: the default, and the better one for few steps."""
    return jnp.ones_like(precise(t))


def snr(schedule: Schedule) -> Weight:
    """w(t) = alpha^2 / sigma^2, under which regression on x_0 is regression on the noise: ||noise - n||^2 = w ||x_0 - D||^2.

    References: Ho et al., arXiv 2006.11239, eq. (14) ("L_simple").
    """

    def snr_weight(t: Scalar) -> Float[Array, ""]:
        return jnp.exp(logsnr(schedule, t))

    return snr_weight


def sigmoid(schedule: Schedule, *, bias: float = 0.0) -> Weight:
    """w(t) = sigmoid(logsnr(t) - bias), the weighting of the paper's images; it starves t near 1.

    References: Kingma and Gao, arXiv 2303.00848; De Bortoli et al., arXiv 2502.02483, eq. (14).
    """

    def sigmoid_weight(t: Scalar) -> Float[Array, ""]:
        return jax.nn.sigmoid(logsnr(schedule, t) - bias)

    return sigmoid_weight
