"""Dissimilarities rho of a squared distance: rho = ||.||^beta, or scale (k(0) - k) of a kernel k.

Strictly proper rules come of 0 < beta < 2 and of characteristic k: see `rules`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float

from ddjax.types import Scalar, known


def safe_power(squared: Float[Array, "*n"], exponent: Scalar) -> Float[Array, "*n"]:
    """squared ** exponent with value 0 and all derivatives 0 where squared = 0 (the plain power has none, or NaN)."""
    positive = squared > 0
    return jnp.where(positive, jnp.where(positive, squared, 1.0) ** exponent, 0.0)


@dataclass(frozen=True)
class Kernel:
    """A positive definite kernel k of the distance, as rho = scale (k(0) - k), written without cancellation."""

    profile: Callable[[Array, Scalar], Array]
    width: Scalar
    scale: float

    def rho(self, squared: Array) -> Array:
        """scale (k(0) - k) at squared distances."""
        return self.profile(squared, self.width)


def imq(c: float = 1.0) -> Kernel:
    """Inverse multiquadric k = (||.||^2 + c)^(-1/2), scale 2 c^(3/2): rho tends to ||.||^2 for wide c."""
    _positive(c=c)
    return Kernel(_imq, c, 2 * c**1.5)


def _imq(squared: Array, c: Scalar) -> Array:
    return -2 * c * jnp.expm1(-0.5 * jnp.log1p(squared / c))


def rbf(bandwidth: float = 1.0) -> Kernel:
    """Gaussian k = exp(-||.||^2 / (2 bandwidth^2)), scale 2 bandwidth^2: rho tends to ||.||^2 for wide bandwidth."""
    _positive(bandwidth=bandwidth)
    return Kernel(_rbf, bandwidth, 2 * bandwidth**2)


def _rbf(squared: Array, bandwidth: Scalar) -> Array:
    return -2 * bandwidth**2 * jnp.expm1(-squared / (2 * bandwidth**2))


def exponential(bandwidth: float = 1.0) -> Kernel:
    """Laplace k = exp(-||.|| / bandwidth), scale bandwidth: rho tends to ||.|| (never to its square)."""
    _positive(bandwidth=bandwidth)
    return Kernel(_exponential, bandwidth, bandwidth)


def _exponential(squared: Array, bandwidth: Scalar) -> Array:
    return -bandwidth * jnp.expm1(-safe_power(squared, 0.5) / bandwidth)


def energy(beta: Scalar = 1.0) -> Kernel:
    """The conditionally positive definite k = -||.||^beta, rho = ||.||^beta. Raises: ValueError for beta outside (0, 2]."""
    if known(beta) and not 0 < beta <= 2:
        raise ValueError(f"beta must lie in (0, 2], got {beta=}")
    return Kernel(_energy, beta, 1.0)


def _energy(squared: Array, beta: Scalar) -> Array:
    return squared if known(beta) and beta == 2 else safe_power(squared, beta / 2)


def _positive(**named: float) -> None:
    for name, value in named.items():
        if known(value) and not value > 0:
            raise ValueError(f"{name} must be positive, got {name}={value}")
