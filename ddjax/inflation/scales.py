"""Inflationary flows as schedules whose scales are vectors, one number for each direction of the eigenbasis of the data.

With T the horizon, t in [0, 1] standing for t T of the paper, s_j^2 the variances of the data and gamma the noise at t = 0:

    (A)  p_t = p_0 * N(0, C(t)) before scaling,  C_j = s_j^2 ((1 + gamma) exp(rho g_j T t) - 1),  x_t = A(t) x
    (B)  A = alpha = exp(-rho max(g) T t / 2) for every direction,   sigma_j = alpha sqrt(C_j)
    (C)  sigma_j = s_j exp(-rho (max(g) - g_j) T t / 2) sqrt(gamma - expm1(-rho g_j T t))

The variance s_j^2 + C_j grows by rho g_j: with all g equal its participation ratio is preserved, else it tends to that of the
directions with the largest g. Preserving, with all g = 1 and A_0j = s_j, is PCA whitening, then an Ornstein-Uhlenbeck process
of rate rho, then the units of the data:

    (D)  x_t = s_j [exp(-rho T t / 2) x_j / s_j + sqrt(1 - exp(-rho T t)) noise_j]       (gamma = 0)

The public code has one scale for all directions in its "PR-preserving" flow, the mean of s_j^2 in the place of each:
`preserving(one_scale(variances))`. Its noise is a ball and not the shape of the data, and the participation ratio rises to d.
References: de Albuquerque and Pearson, arXiv 2407.08843.
"""

import math
import warnings
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ddjax.inflation.growth import Growth, constant_gap
from ddjax.schedules import OrnsteinUhlenbeck, Scales
from ddjax.types import Scalar

Variances = Float[Array | np.ndarray, " d"]

RATIO = 1e3  # C(T) / s^2 from which the law at T is its Gaussian prior


@dataclass(frozen=True)
class Preserving:
    """Noise of the shape of the data: the participation ratio of every marginal is that of the data, eq. (D).

    Args:
        variances: s_j^2 [d], positive. rho: rate of growth. horizon: T, in units of 1 / rho. gamma: C(0) / s^2 >= 0; above 0 the
            score is finite at t = 0.
    Raises: ValueError for other numbers.
    """

    variances: Variances | tuple[float, ...]
    rho: float
    horizon: float
    gamma: float = 0.0

    def __post_init__(self):
        object.__setattr__(self, "variances", positive(self.variances))
        _require(self.rho, self.horizon, self.gamma)

    def __call__(self, t: Scalar) -> Scales:
        """The scales [d] at one time: whitening and Ornstein-Uhlenbeck, entered late by what gamma has already stirred."""
        t = jnp.asarray(t, float)
        rate = self.rho * self.horizon
        alpha, sigma = OrnsteinUhlenbeck(rate)(t + math.log1p(self.gamma) / rate)
        std = _std(self.variances, t)
        raised = math.sqrt(1 + self.gamma)
        return Scales(jnp.broadcast_to(raised * alpha, std.shape), std * (raised * sigma))


@dataclass(frozen=True)
class Reducing:
    """Noise that outgrows the data in the directions of largest growth, and lets the others fade, eq. (C).

    Args:
        variances: s_j^2 [d], positive. growth: g_j [d], positive, or 0 where gamma > 0. rho, horizon, gamma: as in `Preserving`.
    Raises: ValueError for other numbers: noise adds, and where g_j < 0 its variance would be negative.
    """

    variances: Variances | tuple[float, ...]
    growth: Variances | tuple[float, ...]
    rho: float
    horizon: float
    gamma: float = 0.0

    def __post_init__(self):
        object.__setattr__(self, "variances", positive(self.variances))
        _require(self.rho, self.horizon, self.gamma)
        growth = np.asarray(self.growth, np.float64)
        if growth.shape != (len(self.variances),) or not np.isfinite(growth).all():
            raise ValueError(f"need a finite growth for each of {len(self.variances)} directions, got {growth.shape=}")
        if growth.min() < 0 or growth.max() <= 0 or (growth.min() == 0 and self.gamma == 0):
            raise ValueError(
                f"sigma must grow in every direction (or stay at gamma > 0 in some), got growth from {growth.min():.3g} to "
                f"{growth.max():.3g} with {self.gamma=}"
            )
        object.__setattr__(self, "growth", tuple(growth.tolist()))

    def __call__(self, t: Scalar) -> Scales:
        """The scales [d] at one time."""
        t = jnp.asarray(t, float)
        rates = self.rho * self.horizon * np.asarray(self.growth)
        most = rates.max()
        std, rates, lags = _std(self.variances, t), jnp.asarray(rates, t.dtype), jnp.asarray(most - rates, t.dtype)
        sigma = std * jnp.exp(-lags * t / 2) * jnp.sqrt(self.gamma - jnp.expm1(-rates * t))
        return Scales(jnp.broadcast_to(jnp.exp(-float(most) * t / 2), std.shape), sigma)


def preserving(
    variances: Variances, *, rho: float = 1.0, horizon: float | None = None, gamma: float = 0.0
) -> Preserving:
    """The PR-preserving flow of data with these variances, eq. (D), to the horizon of `inflation.horizon` unless told.

    Warns where the horizon is too short for a Gaussian prior. Raises: ValueError as `Preserving`.
    """
    wanted = _horizon(horizon, rho, np.ones(1), gamma)
    return Preserving(positive(variances), float(rho), wanted, float(gamma))


def reducing(
    variances: Variances,
    *,
    keep: int,
    growth: Growth = constant_gap(),  # noqa: B008 (a pure function)
    rho: float = 1.0,
    horizon: float | None = None,
    gamma: float = 0.0,
) -> Reducing:
    """The PR-reducing flow that keeps the first `keep` directions of data with these variances, eq. (C).

    Args:
        variances: in descending order, as `eigenbasis` has them. growth: `constant_gap(gap)` or `original`.
        horizon: that of `inflation.horizon` for the slowest direction unless told.
    Warns where the horizon is too short for a Gaussian prior. Raises: ValueError for a keep outside 1..d, variances in another
        order, or as `Reducing`.
    """
    told = positive(variances)
    if not (np.diff(told) <= 0).all():
        raise ValueError(f"the kept directions come first: give variances in descending order, got {told}")
    g = growth(len(told), keep)
    Reducing(told, tuple(g), float(rho), 1.0, float(gamma))  # what it refuses, before a horizon is sought
    return Reducing(told, tuple(g), float(rho), _horizon(horizon, rho, g, gamma), float(gamma))


def one_scale(variances: Variances) -> Float[np.ndarray, " d"]:
    """The mean variance in the place of each, which makes of the flows here those of the public code."""
    told = positive(variances)
    return np.full(len(told), np.mean(told))


def horizon(
    *, rho: float = 1.0, growth: Float[np.ndarray, " d"] | float = 1.0, ratio: float = RATIO, gamma: float = 0.0
) -> float:
    """The least T with C(T) / s^2 >= ratio in every direction, log((1 + ratio) / (1 + gamma)) / (rho min g).

    Raises: ValueError for a direction that does not grow, or rho or ratio that is not positive and finite.

    >>> round(horizon(), 3)
    6.909
    """
    least = float(np.min(growth))
    if not (0 < rho < np.inf and 0 < ratio < np.inf and 0 <= gamma < ratio):
        raise ValueError(f"need positive finite rho and ratio > gamma, got {rho=}, {ratio=}, {gamma=}")
    if not 0 < least < np.inf:
        raise ValueError(f"a direction that does not grow reaches no ratio: say which horizon, got {growth=}")
    return (math.log1p(ratio) - math.log1p(gamma)) / (rho * least)


def _horizon(told: float | None, rho: float, growth: np.ndarray, gamma: float) -> float:
    """The horizon told, with a warning where the law there is not yet its Gaussian prior; or the one that would do."""
    if told is None:
        return horizon(rho=rho, growth=growth, gamma=gamma)
    _require(rho, told, gamma)
    slowest = float(growth.min())
    reached = math.expm1(min(rho * slowest * told + math.log1p(gamma), 700.0))
    if reached < RATIO * (1 - 1e-9):
        enough = f"take {horizon(rho=rho, growth=growth, gamma=gamma):.4g}" if slowest > 0 else "none would do"
        warnings.warn(
            f"horizon={told:g} is too short for a Gaussian prior: C(T) / s^2 = {reached:.4g} < {RATIO:g}; {enough}",
            stacklevel=3,
        )
    return float(told)


def _std(variances: tuple[float, ...], t: Array) -> Array:
    return jnp.asarray(np.sqrt(variances), t.dtype)


def positive(variances: object) -> tuple[float, ...]:
    """Variances as hashable numbers. Raises: ValueError unless they are a vector of positive finite ones."""
    told = np.asarray(variances, np.float64)
    if told.ndim != 1 or not len(told) or not ((told > 0) & (told < np.inf)).all():
        raise ValueError(f"need a vector of positive finite variances, got {variances}")
    return tuple(told.tolist())


def _require(rho: float, horizon: float, gamma: float) -> None:
    if not (0 < rho < np.inf and 0 < horizon < np.inf and 0 <= gamma < np.inf):
        raise ValueError(f"need finite rho > 0, horizon > 0 and gamma >= 0, got {rho=}, {horizon=}, {gamma=}")
