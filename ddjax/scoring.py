"""Scoring rules of a population against one observation.

With a dissimilarity rho (rho(0) = 0) and draws xhat_1..m of one predictive law,

    (1)  score = confinement - (lam / 2) interaction
    (2)  confinement = mean_j rho(x_0, xhat_j)
    (3)  interaction = an estimate of E rho(xhat, xhat') from the draws: see the estimators below

Energy rule: rho = ||.||^beta, 0 < beta <= 2. Kernel rule: rho = scale (k(0) - k). Strictly proper iff lam = 1 (and
beta < 2, k characteristic); beta = 2, lam = 0 is the squared error. Everything is for ONE example: samples [m, *event].

`mean_{j != j'}` in (3) already divides by m (m - 1). Differences are taken directly and in float32 or better: Gram
matrices lose all digits near coincident draws.

References: Gneiting and Raftery, JASA 102 (2007), section 5; De Bortoli et al., arXiv 2502.02483, eq. (8)-(14).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from ddjax.types import Scalar, known

Scope = Literal["event", "position", "element"]
Draws = Float[Array, "m *event"]


# --- kernels -----------------------------------------------------------------------------------------------------------


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


# --- estimators of E rho(xhat, xhat') --------------------------------------------------------------------------------

Estimator = Callable[[Draws, Callable[[Array], Array]], Array]


def fair(samples: Draws, rho: Callable[[Array], Array]) -> Float[Array, ""]:
    """Unbiased: the mean over all pairs j != j' (U-statistic), each unordered pair computed once."""
    m = samples.shape[0]
    total = sum(jnp.sum(rho(samples[lag:] - samples[:-lag])) for lag in range(1, m))
    return total / (m * (m - 1) / 2)


def biased(samples: Draws, rho: Callable[[Array], Array]) -> Float[Array, ""]:
    """V-statistic: divides by m^2, which acts as lam (m - 1) / m."""
    m = samples.shape[0]
    return fair(samples, rho) * (m - 1) / m


def almost_fair(fairness: float = 0.95) -> Estimator:
    """fairness * fair + (1 - fairness) * biased. References: Lang et al., arXiv 2412.15832."""
    if not 0 <= fairness <= 1:
        raise ValueError(f"fairness must lie in [0, 1], got {fairness=}")

    def almost_fair_estimator(samples: Draws, rho: Callable[[Array], Array]) -> Float[Array, ""]:
        return fairness * fair(samples, rho) + (1 - fairness) * biased(samples, rho)

    return almost_fair_estimator


def paired(samples: Draws, rho: Callable[[Array], Array]) -> Float[Array, ""]:
    """Unbiased in O(m): the mean over the disjoint pairs (1, 2), (3, 4), ..."""
    half = samples.shape[0] // 2
    return jnp.mean(rho(samples[: 2 * half : 2] - samples[1 : 2 * half : 2]))


def banded(width: int) -> Estimator:
    """Unbiased in O(width m): the mean over pairs at most `width` apart in the order of the draws."""
    if width < 1:
        raise ValueError(f"a band has width at least 1, got {width=}")

    def banded_estimator(samples: Draws, rho: Callable[[Array], Array]) -> Float[Array, ""]:
        lags = range(1, min(width, samples.shape[0] - 1) + 1)
        values = [rho(samples[lag:] - samples[:-lag]) for lag in lags]
        return jnp.mean(jnp.concatenate(values))

    return banded_estimator


_NAMED = {"fair": fair, "v": biased, "almost_fair": almost_fair(), "paired": paired}


def _estimator(estimator: str | Estimator) -> Estimator:
    if callable(estimator):
        return estimator
    if estimator not in _NAMED:
        raise ValueError(f"estimator must be one of {sorted(_NAMED)} or a function, got {estimator!r}")
    return _NAMED[estimator]


# --- scores ----------------------------------------------------------------------------------------------------------


class Terms(NamedTuple):
    """A score and its two parts, eq. (1)."""

    score: Float[Array, ""]
    confinement: Float[Array, ""]
    interaction: Float[Array, ""]


def _reduced(kernel: Kernel, scope: Scope, event_rank: int) -> Callable[[Array], Array]:
    """rho of differences [n, *event] -> [n]: norms over the axes of the scope, means over the other event axes."""
    first = {"event": 1, "position": max(event_rank, 1), "element": event_rank + 1}
    if scope not in first:
        raise ValueError(f"scope must be one of {sorted(first)}, got {scope!r}")
    normed = tuple(range(first[scope], event_rank + 1))
    averaged = tuple(range(1, min(first[scope], event_rank + 1)))

    def rho_of_differences(differences: Array) -> Array:
        return jnp.mean(kernel.rho(jnp.sum(differences**2, normed, keepdims=True)), averaged).reshape(-1)

    return rho_of_differences


def _terms(samples: Draws, observation: Array, kernel: Kernel, lam: Scalar, estimator, scope: Scope) -> Terms:
    m, event = samples.shape[0], samples.shape[1:]
    if event != observation.shape:
        raise ValueError(f"samples must be [m, *event] of the observation, got {samples.shape=}, {observation.shape=}")
    without_interaction = known(lam) and lam == 0
    if m < 2 and not without_interaction:
        raise ValueError(f"a population of at least 2 is needed for lam > 0, got {m} draw and {lam=}")
    samples = samples.astype(samples.dtype if samples.dtype == jnp.float64 else jnp.float32)
    rho = _reduced(kernel, scope, len(event))
    confinement = jnp.mean(rho(samples - observation[None].astype(samples.dtype)))
    interaction = jnp.zeros_like(confinement) if without_interaction else _estimator(estimator)(samples, rho)
    return Terms(confinement - lam / 2 * interaction, confinement, interaction)


@dataclass(frozen=True)
class Energy:
    """The energy rule as a value: `rule(samples, observation, t) -> Terms`, beta and lam constant or functions of t.

    Raises: ValueError for a constant beta outside (0, 2] or a negative constant lam.
    """

    beta: float | Callable[[Array], Array] = 1.0
    lam: float | Callable[[Array], Array] = 1.0
    estimator: str | Estimator = "fair"
    scope: Scope = "event"

    def __post_init__(self):
        if not callable(self.beta):
            energy(self.beta)
        _check_rule(self)

    def __call__(self, samples: Draws, observation: Float[Array, "*event"], t: Scalar = 0.0) -> Terms:
        """Terms of one example at time t."""
        kernel = energy(_at(self.beta, t))
        return _terms(samples, observation, kernel, _at(self.lam, t), self.estimator, self.scope)


@dataclass(frozen=True)
class KernelRule:
    """A kernel rule as a value: `rule(samples, observation, t) -> Terms`, with lam constant or a function of t.

    Raises: ValueError for a negative constant lam.
    """

    kernel: Kernel
    lam: float | Callable[[Array], Array] = 1.0
    estimator: str | Estimator = "fair"
    scope: Scope = "event"

    def __post_init__(self):
        _check_rule(self)

    def __call__(self, samples: Draws, observation: Float[Array, "*event"], t: Scalar = 0.0) -> Terms:
        """Terms of one example at time t."""
        return _terms(samples, observation, self.kernel, _at(self.lam, t), self.estimator, self.scope)


def _check_rule(rule: Energy | KernelRule) -> None:
    _estimator(rule.estimator)
    if not callable(rule.lam) and known(rule.lam) and not rule.lam >= 0:
        raise ValueError(f"lam must not be negative, got {rule.lam=}")


def _at(value: float | Callable[[Array], Array], t: Scalar) -> Scalar:
    return value(jnp.asarray(t, float)) if callable(value) else value


def energy_score(
    samples: Draws,
    observation: Float[Array, "*event"],
    *,
    beta: Scalar = 1.0,
    lam: Scalar = 1.0,
    estimator: str | Estimator = "fair",
    scope: Scope = "event",
) -> Float[Array, ""]:
    """Energy score, eq. (1) with rho = ||.||^beta, of draws [m, *event] against an observation [*event].

    Args:
        beta: in (0, 2]. lam: >= 0; 1 is proper, 0 needs no second draw.
        estimator: "fair", "v", "almost_fair", "paired", or a function such as `banded(2)`.
        scope: norms over the whole "event", per spatial "position" (the last axis), or per "element".
    Raises: ValueError for a beta outside (0, 2], fewer than 2 draws with lam > 0, shapes that do not fit.

    >>> print(f"{energy_score(jnp.array([1.0, 2.0, 4.0]), jnp.array(3.0)):.4f}")  # 4/3 - (1/2) 2
    0.3333
    """
    return _terms(samples, observation, energy(beta), lam, estimator, scope).score


def kernel_score(
    samples: Draws,
    observation: Float[Array, "*event"],
    *,
    kernel: Kernel,
    lam: Scalar = 1.0,
    estimator: str | Estimator = "fair",
    scope: Scope = "event",
) -> Float[Array, ""]:
    """Kernel score, eq. (1) with rho = scale (k(0) - k); kernels `imq(c)`, `rbf(bandwidth)`, `exponential(bandwidth)`.

    Raises: ValueError for fewer than 2 draws with lam > 0, or shapes that do not fit.
    """
    return _terms(samples, observation, kernel, lam, estimator, scope).score


def crps(
    samples: Draws, observation: Float[Array, "*event"], *, estimator: str | Estimator = "fair"
) -> Float[Array, ""]:
    """Continuous ranked probability score, the mean over elements of E|x - y| - E|x - x'| / 2.

    References: Gneiting and Raftery, JASA 102 (2007), eq. (21).
    """
    return energy_score(samples, observation, estimator=estimator, scope="element")
