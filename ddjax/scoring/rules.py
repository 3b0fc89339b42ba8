"""Scoring rules of a population against one observation.

With a dissimilarity rho (rho(0) = 0) and draws xhat_1..m of one predictive law,

    (1)  score = confinement - (lam / 2) interaction
    (2)  confinement = mean_j rho(x_0, xhat_j)
    (3)  interaction = an estimate of E rho(xhat, xhat') from the draws: see `estimators`

Energy rule: rho = ||.||^beta, 0 < beta <= 2. Kernel rule: rho = scale (k(0) - k). Strictly proper iff lam = 1 (and
beta < 2, k characteristic); beta = 2, lam = 0 is the squared error. Everything is for ONE example: samples [m, *event].

`mean_{j != j'}` in (3) already divides by m (m - 1). Differences are taken directly and in float32 or better: Gram
matrices lose all digits near coincident draws. A draw or an observation that is not finite makes the score NaN.

References: Gneiting and Raftery, JASA 102 (2007), section 5; De Bortoli et al., arXiv 2502.02483, eq. (8)-(14).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from ddjax.scoring.estimators import Estimator, estimator_of
from ddjax.scoring.kernels import Kernel, energy
from ddjax.types import Scalar, known, nan_unless_finite, precise

Draws = Real[Array | np.ndarray, "m *event"]
Observation = Real[Array | np.ndarray, "*event"]
Scope = Literal["event", "position", "element"]


class Terms(NamedTuple):
    """A score and its two parts, eq. (1)."""

    score: Float[Array, ""]
    confinement: Float[Array, ""]
    interaction: Float[Array, ""]


Rule = Callable[[Array, Array, Scalar], Terms]  # (samples [m, *event], observation [*event], t) -> Terms


@runtime_checkable
class Pairing(Protocol):
    """A rule that says whether it compares draws with each other."""

    @property
    def pairs(self) -> bool:
        """Whether two draws are needed."""


def needs_pairs(rule: Rule) -> bool:
    """Whether a rule needs two draws, by its own word; a plain function has none and is taken to need one."""
    return isinstance(rule, Pairing) and rule.pairs


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


def _terms(samples: Draws, observation: Observation, kernel: Kernel, lam: Scalar, estimator, scope: Scope) -> Terms:
    m, event = samples.shape[0], samples.shape[1:]
    if event != observation.shape:
        raise ValueError(f"samples must be [m, *event] of the observation, got {samples.shape=}, {observation.shape=}")
    _check_lam(lam)
    pairs = _pairs(lam)
    if m < 2 and pairs:
        raise ValueError(f"a population of at least 2 is needed for lam > 0, got {m} draw and {lam=}")
    samples = precise(samples)
    rho = _reduced(kernel, scope, len(event))
    differences = nan_unless_finite(samples - precise(observation)[None].astype(samples.dtype))
    confinement = jnp.mean(rho(differences))
    interaction = estimator_of(estimator)(samples, rho) if pairs else jnp.zeros_like(confinement)
    return Terms(confinement - jnp.asarray(lam, samples.dtype) / 2 * interaction, confinement, interaction)


def _pairs(lam) -> bool:
    return bool(callable(lam) or not known(lam) or lam != 0)


@dataclass(frozen=True)
class Energy:
    """The energy rule as a value: `rule(samples, observation, t) -> Terms`, beta and lam constant or functions of t.

    Raises: ValueError for a constant beta outside (0, 2], or a constant lam that is negative or infinite.
    """

    beta: Scalar | Callable[[Array], Array] = 1.0
    lam: Scalar | Callable[[Array], Array] = 1.0
    estimator: str | Estimator = "fair"
    scope: Scope = "event"

    def __post_init__(self):
        if not callable(self.beta):
            energy(self.beta)
        _check_rule(self)

    @property
    def pairs(self) -> bool:
        """Whether two draws are needed: unless lam = 0."""
        return _pairs(self.lam)

    def __call__(self, samples: Draws, observation: Observation, t: Scalar = 0.0) -> Terms:
        """Terms of one example at time t."""
        kernel = energy(_at(self.beta, t))
        return _terms(samples, observation, kernel, _at(self.lam, t), self.estimator, self.scope)


@dataclass(frozen=True)
class KernelRule:
    """A kernel rule as a value: `rule(samples, observation, t) -> Terms`, with lam constant or a function of t.

    Raises: ValueError for a constant lam that is negative or infinite.
    """

    kernel: Kernel
    lam: Scalar | Callable[[Array], Array] = 1.0
    estimator: str | Estimator = "fair"
    scope: Scope = "event"

    def __post_init__(self):
        _check_rule(self)

    @property
    def pairs(self) -> bool:
        """Whether two draws are needed: unless lam = 0."""
        return _pairs(self.lam)

    def __call__(self, samples: Draws, observation: Observation, t: Scalar = 0.0) -> Terms:
        """Terms of one example at time t."""
        return _terms(samples, observation, self.kernel, _at(self.lam, t), self.estimator, self.scope)


def _check_rule(rule: Energy | KernelRule) -> None:
    estimator_of(rule.estimator)
    if not callable(rule.lam):
        _check_lam(rule.lam)


def _check_lam(lam) -> None:
    if known(lam) and not 0 <= lam < math.inf:
        raise ValueError(f"lam must not be negative or infinite, got {lam=}")


def _at(value: Scalar | Callable[[Array], Array], t: Scalar) -> Scalar:
    return value(precise(t)) if callable(value) else value


def energy_score(
    samples: Draws,
    observation: Observation,
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
    observation: Observation,
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


def crps(samples: Draws, observation: Observation, *, estimator: str | Estimator = "fair") -> Float[Array, ""]:
    """Continuous ranked probability score, the mean over elements of E|x - y| - E|x - x'| / 2.

    References: Gneiting and Raftery, JASA 102 (2007), eq. (21).
    """
    return energy_score(samples, observation, estimator=estimator, scope="element")
