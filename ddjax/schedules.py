"""Noise schedules: functions t -> (alpha, sigma) of the forward marginal.

    (A)  x_t = alpha(t) x_0 + sigma(t) noise,   t = 0 data, t = 1 noise
    (B)  logsnr(t) = log(alpha^2 / sigma^2)
    (C)  r = (alpha_t / alpha_s) (sigma_s / sigma_t)
    (D)  1 - r = -expm1(-integral from s to t of (sigma' / sigma - alpha' / alpha) du)

Nothing else in the package knows a formula for alpha or sigma; their time derivatives come from one `jax.jvp`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ddjax.inputs import checked_count, described
from ddjax.types import Scalar, Schedule


class Scales(NamedTuple):
    """alpha and sigma of eq. (A), each a scalar, or of the shape of an event where each coordinate has its own.

    One rule for all that takes a schedule: event-shaped scales act coordinate by coordinate. States, predictions and gradients are
    multiplied element by element; log densities are sums over coordinates, each in units of its own sigma; covariances of x_t are
    diag(alpha) S diag(alpha) + diag(sigma^2). Equal entries are as good as a scalar. Only the weight of an example in a loss is one
    number (`weights.of_examples`).
    """

    alpha: Float[Array, "..."]
    sigma: Float[Array, "..."]


@dataclass(frozen=True)
class Rectified:
    """Straight lines between data and noise: alpha = 1 - t, sigma = t.

    References: Liu et al., arXiv 2209.03003; Lipman et al., arXiv 2210.02747.
    """

    def __call__(self, t: Scalar) -> Scales:
        """The scales at one time."""
        t = jnp.asarray(t, float)
        return Scales(1 - t, t)


@dataclass(frozen=True)
class Cosine:
    """A quarter circle: alpha = cos(pi t / 2), sigma = sin(pi t / 2).

    References: Nichol and Dhariwal, arXiv 2102.09672 (without their offset).
    """

    def __call__(self, t: Scalar) -> Scales:
        """The scales at one time."""
        t = jnp.asarray(t, float)
        # cos(pi/2) is -4e-8 in float32; the mirrored sine is exactly 0 at t = 1
        return Scales(jnp.sin(jnp.pi / 2 * (1 - t)), jnp.sin(jnp.pi / 2 * t))


def _variance_preserving(integral: Float[Array, ""]) -> Scales:
    return Scales(jnp.exp(-integral / 2), jnp.sqrt(-jnp.expm1(-integral)))


def _require_rates(beta_min: float, beta_max: float) -> None:
    if not 0 < beta_min <= beta_max < np.inf:
        raise ValueError(f"need 0 < beta_min <= beta_max, both finite, got {beta_min=}, {beta_max=}")


def _linear_integral(beta_min: float, beta_max: float, t: Scalar) -> Float[Array, ""]:
    t = jnp.asarray(t, float)
    return beta_min * t + (beta_max - beta_min) * t**2 / 2


@dataclass(frozen=True)
class VariancePreserving:
    """Linear rate beta(t): alpha = exp(-B/2), sigma^2 = 1 - exp(-B), B = beta_min t + (beta_max - beta_min) t^2 / 2.

    Raises: ValueError unless 0 < beta_min <= beta_max.
    References: arXiv 2011.13456, Song et al. eq. (32)-(33).
    """

    beta_min: float = 0.1
    beta_max: float = 20.0

    def __post_init__(self):
        _require_rates(self.beta_min, self.beta_max)

    def __call__(self, t: Scalar) -> Scales:
        """The scales at one time."""
        return _variance_preserving(_linear_integral(self.beta_min, self.beta_max, t))


@dataclass(frozen=True)
class SubVariancePreserving:
    """The same signal under less noise: alpha = exp(-B/2), sigma = 1 - exp(-B), B that of `VariancePreserving`.

    Raises: ValueError unless 0 < beta_min <= beta_max.
    References: Song et al., arXiv 2011.13456, section 3.4 ("sub-VP").
    """

    beta_min: float = 0.1
    beta_max: float = 20.0

    def __post_init__(self):
        _require_rates(self.beta_min, self.beta_max)

    def __call__(self, t: Scalar) -> Scales:
        """The scales at one time."""
        integral = _linear_integral(self.beta_min, self.beta_max, t)
        return Scales(jnp.exp(-integral / 2), -jnp.expm1(-integral))


@dataclass(frozen=True)
class DDPM:
    """A chain of n steps, beta_k linear in k: alpha(k/n)^2 = prod_{i <= k} (1 - beta_i), log alpha linear between the steps.

    Raises: ValueError unless 0 < beta_first <= beta_last < 1 and n >= 1.
    References: Ho et al. (DDPM), arXiv 2006.11239, DDPM eq. (4) and section 4.
    """

    n: int = 1000
    beta_first: float = 1e-4
    beta_last: float = 0.02

    def __post_init__(self):
        checked_count(self.n, "n")
        if not 0 < self.beta_first <= self.beta_last < 1:
            told = f"{self.n=}, {self.beta_first=}, {self.beta_last=}"
            raise ValueError(f"need 0 < beta_first <= beta_last < 1, got {told}")

    def __call__(self, t: Scalar) -> Scales:
        """The scales at one time."""
        t = jnp.asarray(t, float)
        losses = np.append(0.0, np.cumsum(-np.log1p(-np.linspace(self.beta_first, self.beta_last, self.n))))
        return _variance_preserving(
            jnp.interp(t * self.n, jnp.arange(self.n + 1, dtype=t.dtype), jnp.asarray(losses, t.dtype))
        )


@dataclass(frozen=True)
class VarianceExploding:
    """Geometric noise on unscaled data: alpha = 1, sigma = sigma_min (sigma_max / sigma_min)^t.

    Raises: ValueError unless 0 < sigma_min < sigma_max.
    References: arXiv 2011.13456, Song et al. eq. (30)-(31).
    """

    sigma_min: float = 0.01
    sigma_max: float = 50.0

    def __post_init__(self):
        if not 0 < self.sigma_min < self.sigma_max < np.inf:
            raise ValueError(f"need 0 < sigma_min < sigma_max, both finite, got {self.sigma_min=}, {self.sigma_max=}")

    def __call__(self, t: Scalar) -> Scales:
        """The scales at one time."""
        t = jnp.asarray(t, float)
        return Scales(jnp.ones_like(t), self.sigma_min * (self.sigma_max / self.sigma_min) ** t)


_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(16)


@dataclass(frozen=True)
class OrnsteinUhlenbeck:
    """dX = -(g/2) X dt + sqrt(g) dW on [0, 1]: alpha = exp(-G/2), sigma^2 = -expm1(-G), G = integral of g from 0 to t.

    Args:
        g: the rate, a positive number or a smooth positive function of t (integrated by 16-point Gauss-Legendre).
    Raises: ValueError for a rate that is not positive.
    """

    g: float | Callable[[Array], Array] = 10.0

    def __post_init__(self):
        if not callable(self.g) and not 0 < self.g < np.inf:
            raise ValueError(f"the rate g must be positive and finite, got {self.g=}")

    def __call__(self, t: Scalar) -> Scales:
        """The scales at one time."""
        t = jnp.asarray(t, float)
        if not callable(self.g):
            return _variance_preserving(self.g * t)
        rates = jax.vmap(self.g)(t / 2 * jnp.asarray(_NODES + 1, t.dtype))
        return _variance_preserving(t / 2 * jnp.sum(jnp.asarray(_NODE_WEIGHTS, t.dtype) * rates))


def checked_schedule(schedule: Any) -> Schedule:
    """The schedule, tried at one time without computing anything.

    Raises: ValueError for what is none: a class or a name of one, or a function that returns no `Scales`.
    """
    jax.eval_shape(partial(scales_at, schedule), 0.5)
    return schedule


def scales_at(schedule: Schedule, t: Scalar) -> Scales:
    """alpha and sigma at one time. Raises: ValueError as `checked_schedule`."""
    if isinstance(schedule, type) or not callable(schedule):
        raise ValueError(
            "need a schedule, a function t -> schedules.Scales(alpha, sigma) such as schedules.Rectified(), "
            f"got {described(schedule)}"
        )
    scales = schedule(t)
    if not isinstance(scales, Scales):
        raise ValueError(f"a schedule returns schedules.Scales(alpha, sigma), this one returned {described(scales)}")
    return scales


def with_rates(schedule: Schedule, t: Scalar) -> tuple[Scales, Scales]:
    """The scales and their time derivatives, (alpha, sigma) and (alpha', sigma'), at one time.

    >>> (alpha, sigma), rates = with_rates(Rectified(), 0.25)  # alpha = 1 - t, sigma = t
    >>> print(alpha, sigma, *rates)
    0.75 0.25 -1.0 1.0
    """
    t = jnp.asarray(t, float)
    return jax.jvp(partial(scales_at, schedule), (t,), (jnp.ones_like(t),))


def spread_rate(schedule: Schedule, t: Scalar) -> Float[Array, "..."]:
    """sigma sigma' = (sigma^2)' / 2 at one time: finite at t = 0 also where sigma' is not, sigma growing like sqrt(t)."""
    t = jnp.asarray(t, float)
    scales, rates = with_rates(schedule, t)
    just_after, rates_after = with_rates(schedule, jnp.maximum(t, jnp.finfo(t.dtype).tiny ** 0.5))
    return jnp.where(jnp.isinf(rates.sigma), just_after.sigma * rates_after.sigma, scales.sigma * rates.sigma)


def squared_diffusion(schedule: Schedule, t: Scalar) -> Float[Array, "..."]:
    """g^2 = 2 sigma sigma' - 2 (alpha' / alpha) sigma^2 of dx = (alpha' / alpha) x dt + g dW; infinite where alpha = 0.

    References: Karras et al., arXiv 2206.00364, appendix B.

    >>> print(f"{squared_diffusion(Rectified(), 0.5):.3f}")  # 2 t + 2 t^2 / (1 - t)
    2.000
    """
    scales, rates = with_rates(schedule, t)
    return 2 * spread_rate(schedule, t) - 2 * rates.alpha / scales.alpha * scales.sigma**2


def logsnr(schedule: Schedule, t: Scalar) -> Float[Array, "..."]:
    """Log signal-to-noise ratio, eq. (B): +inf where sigma = 0, -inf where alpha = 0.

    >>> print(logsnr(Rectified(), 0.5), logsnr(Rectified(), 1.0))
    0.0 -inf
    """
    alpha, sigma = scales_at(schedule, t)
    return 2 * (jnp.log(alpha) - jnp.log(sigma))


_GAP_NODES, _GAP_WEIGHTS = np.polynomial.legendre.leggauss(4)
_CLOSE = 1 / 16


def snr_loss(schedule: Schedule, t: Scalar, s: Scalar) -> Float[Array, "..."]:
    """1 - r of eq. (C), the share of the signal-to-noise ratio alpha / sigma that is lost from s to t > s, in [0, 1].

    Its relative error is that of one rounding, however near the times are: where r is near 1, the difference 1 - r would
    cancel, and eq. (D), a sum of positive terms by 4-point Gauss-Legendre, does not.

    >>> print(f"{snr_loss(Rectified(), 0.5, 0.25):.4f}")  # 1 - (1/3) / 1: alpha / sigma falls from 3 to 1
    0.6667
    """
    t, s = jnp.asarray(t, float), jnp.asarray(s, float)
    alpha_t, sigma_t = scales_at(schedule, t)
    alpha_s, sigma_s = scales_at(schedule, s)
    direct = 1 - (alpha_t / alpha_s) * (sigma_s / sigma_t)
    close = direct < _CLOSE  # not for NaN

    def rate(node: Array) -> Array:
        scales, rates = with_rates(schedule, s + (t - s) * (1 + node) / 2)
        return rates.sigma / scales.sigma - rates.alpha / scales.alpha

    nodes, weights = (jnp.asarray(values, t.dtype) for values in (_GAP_NODES, _GAP_WEIGHTS))
    integral = (t - s) / 2 * jnp.tensordot(weights, jax.vmap(rate)(nodes), 1)
    return jnp.where(close, -jnp.expm1(-jnp.where(close, integral, 0.0)), direct)
