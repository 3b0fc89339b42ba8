"""Dissimilarities rho of a squared distance: rho = ||.||^beta, or scale (k(0) - k) of a kernel k.

Strictly proper rules come of 0 < beta < 2 and of characteristic k: see `scores`. What a kernel does is static, its numbers
are leaves of a pytree: a bandwidth may be an array, as the median heuristic makes one, also inside jit and under grad.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ddjax.scoring.scores import checked_beta, safe_power
from ddjax.types import Scalar, known, one_number


@partial(jax.tree_util.register_dataclass, data_fields=("width", "scale"), meta_fields=("profile",))
@dataclass(frozen=True)
class Kernel:
    """A positive definite kernel k of the distance, as rho = scale (k(0) - k), written without cancellation."""

    profile: Callable[[Array, Scalar], Array]
    width: Scalar
    scale: Scalar

    def rho(self, squared: Array) -> Array:
        """scale (k(0) - k) at squared distances."""
        return self.profile(squared, jnp.asarray(self.width, squared.dtype))

    def __call__(self, differences: Array) -> Array:
        """rho of each difference [n, *event], with its norm over the whole event -> [n]."""
        return self.rho(jnp.sum(differences**2, tuple(range(1, differences.ndim))))


def imq(c: Scalar = 1.0) -> Kernel:
    """Inverse multiquadric k = (||.||^2 + c)^(-1/2), scale 2 c^(3/2): rho tends to ||.||^2 for wide c."""
    c = _positive("c", c)
    return Kernel(_imq, c, 2 * c**1.5)


def _imq(squared: Array, c: Scalar) -> Array:
    return -2 * c * jnp.expm1(-0.5 * jnp.log1p(squared * (1 / c)))


def rbf(bandwidth: Scalar = 1.0) -> Kernel:
    """Gaussian k = exp(-||.||^2 / (2 bandwidth^2)), scale 2 bandwidth^2: rho tends to ||.||^2 for wide bandwidth."""
    bandwidth = _positive("bandwidth", bandwidth)
    return Kernel(_rbf, bandwidth, 2 * bandwidth**2)


def _rbf(squared: Array, bandwidth: Scalar) -> Array:
    return -2 * bandwidth**2 * jnp.expm1(squared * (-0.5 / bandwidth**2))


def exponential(bandwidth: Scalar = 1.0) -> Kernel:
    """Laplace k = exp(-||.|| / bandwidth), scale bandwidth: rho tends to ||.|| (never to its square)."""
    bandwidth = _positive("bandwidth", bandwidth)
    return Kernel(_exponential, bandwidth, bandwidth)


def _exponential(squared: Array, bandwidth: Scalar) -> Array:
    return -bandwidth * jnp.expm1(safe_power(squared, 0.5) * (-1 / bandwidth))


def energy(beta: Scalar = 1.0) -> Kernel:
    """The conditionally positive definite k = -||.||^beta, rho = ||.||^beta. Raises: ValueError for beta outside (0, 2]."""
    beta = checked_beta(beta)
    return Kernel(_EXACT.get(float(beta), _energy) if known(beta) else _energy, beta, 1.0)


def _energy(squared: Array, beta: Scalar) -> Array:
    return safe_power(squared, beta / 2)


def _norm(squared: Array, beta: Scalar) -> Array:
    return safe_power(squared, 0.5)  # an exponent known to the compiler: a root, ten times cheaper than a power


def _square(squared: Array, beta: Scalar) -> Array:
    return squared  # with its second derivative at 0


_EXACT = {1.0: _norm, 2.0: _square}


def _positive(name: str, value: Scalar) -> Scalar:
    value = one_number(name, value)
    if known(value) and not 0 < value < math.inf:
        raise ValueError(f"{name} must be positive and finite, got {name}={value}")
    return value
