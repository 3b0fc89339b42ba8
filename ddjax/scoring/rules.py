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
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from ddjax.inputs import checked_array
from ddjax.scoring.estimators import Estimator, estimator_of
from ddjax.scoring.kernels import Kernel, energy
from ddjax.scoring.scopes import Area, Scope, check_area, left_out, rho_of_differences
from ddjax.types import Scalar, known, nan_unless_finite, precise

Draws = Real[Array | np.ndarray, "m *event"]
Observation = Real[Array | np.ndarray, "*event"]


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


def _terms(
    samples: Draws, observation: Observation, kernel: Kernel, lam: Scalar, estimator, scope: Scope, area: Area | None
) -> Terms:
    samples, observation = checked_draws(samples, observation)
    area = None if area is None else checked_array(area, "an area")
    _check_lam(lam)
    m, pairs = samples.shape[0], _pairs(lam)
    if m < 2 and pairs:
        raise ValueError(f"a population of at least 2 is needed for lam > 0, got {m} draw and {lam=}")
    rho = rho_of_differences(kernel, scope, area, observation.shape)
    samples, observation = (left_out(precise(values), area) for values in (samples, observation))
    differences = nan_unless_finite(samples - observation[None].astype(samples.dtype))
    confinement = jnp.mean(rho(differences))
    interaction = estimator_of(estimator)(samples, rho) if pairs else jnp.zeros_like(confinement)
    return Terms(confinement - jnp.asarray(lam, samples.dtype) / 2 * interaction, confinement, interaction)


def checked_draws(samples: Any, observation: Any) -> tuple[Array | np.ndarray, Array | np.ndarray]:
    """Both as arrays. Raises: ValueError for samples that are not draws of events like the observation."""
    samples, observation = checked_array(samples, "samples [m, *event]"), checked_array(observation, "an observation")
    if samples.shape[1:] != observation.shape:
        raise ValueError(f"samples must be [m, *event] of the observation, got {samples.shape=}, {observation.shape=}")
    return samples, observation


def _pairs(lam) -> bool:
    return bool(callable(lam) or not known(lam) or lam != 0)


@dataclass(frozen=True)
class Energy:
    """The energy rule as a value: `rule(samples, observation, t) -> Terms`, beta and lam constant or functions of t.

    Raises: ValueError for a constant beta outside (0, 2], a constant lam that is negative or infinite, or an area that
        `energy_score` refuses.
    """

    beta: Scalar | Callable[[Array], Array] = 1.0
    lam: Scalar | Callable[[Array], Array] = 1.0
    estimator: str | Estimator = "fair"
    scope: Scope = "event"
    area: Area | None = None

    def __post_init__(self):
        if not callable(self.beta):
            energy(self.beta)
        _check_rule(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and _value(self) == _value(other)

    def __hash__(self) -> int:
        return hash(_value(self))

    @property
    def pairs(self) -> bool:
        """Whether two draws are needed: unless lam = 0."""
        return _pairs(self.lam)

    def __call__(self, samples: Draws, observation: Observation, t: Scalar = 0.0) -> Terms:
        """Terms of one example at time t."""
        kernel = energy(_at(self.beta, t))
        return _terms(samples, observation, kernel, _at(self.lam, t), self.estimator, self.scope, self.area)


@dataclass(frozen=True)
class KernelRule:
    """A kernel rule as a value: `rule(samples, observation, t) -> Terms`, with lam constant or a function of t.

    Raises: ValueError for a constant lam that is negative or infinite, or an area that `energy_score` refuses.
    """

    kernel: Kernel
    lam: Scalar | Callable[[Array], Array] = 1.0
    estimator: str | Estimator = "fair"
    scope: Scope = "event"
    area: Area | None = None

    def __post_init__(self):
        _check_rule(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and _value(self) == _value(other)

    def __hash__(self) -> int:
        return hash(_value(self))

    @property
    def pairs(self) -> bool:
        """Whether two draws are needed: unless lam = 0."""
        return _pairs(self.lam)

    def __call__(self, samples: Draws, observation: Observation, t: Scalar = 0.0) -> Terms:
        """Terms of one example at time t."""
        return _terms(samples, observation, self.kernel, _at(self.lam, t), self.estimator, self.scope, self.area)


def _check_rule(rule: Energy | KernelRule) -> None:
    estimator_of(rule.estimator)
    if rule.area is not None:
        object.__setattr__(rule, "area", checked_array(rule.area, "an area"))
    check_area(rule.area, rule.scope)
    if not callable(rule.lam):
        _check_lam(rule.lam)


def _value(rule: Energy | KernelRule) -> tuple:
    """What makes two rules equal: their fields, and the numbers of an area, so that they may be static."""
    *others, area = (getattr(rule, field.name) for field in fields(rule))
    return (*others, None if area is None else (area.shape, area.dtype, np.asarray(area).tobytes()))


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
    area: Area | None = None,
) -> Float[Array, ""]:
    """Energy score, eq. (1) with rho = ||.||^beta, of draws [m, *event] against an observation [*event].

    Args:
        beta: in (0, 2]. lam: >= 0; 1 is proper, 0 needs no second draw.
        estimator: "fair", "v", "almost_fair", "paired", or a function such as `banded(2)`.
        scope: norms over the whole "event", per spatial "position" (the last axis), or per "element", averaged over the
            rest; or a function of squared differences such as `Windows(3)`.
        area: weights >= 0 of that average, for instance the cosine of the latitude as [height, 1, 1] (what is inside the
            norm is weighed by `scaled`). Where it is 0, as in ~isnan(observation), a missing value is left out; without,
            NaN makes the score NaN.
    Raises: ValueError for a beta outside (0, 2], fewer than 2 draws with lam > 0, shapes that do not fit, an area
        that is negative, not finite or 0 everywhere (NaN where it is traced), or one with another scope.

    >>> print(f"{energy_score(jnp.array([1.0, 2.0, 4.0]), jnp.array(3.0)):.4f}")  # 4/3 - (1/2) 2
    0.3333
    """
    return _terms(samples, observation, energy(beta), lam, estimator, scope, area).score


def kernel_score(
    samples: Draws,
    observation: Observation,
    *,
    kernel: Kernel,
    lam: Scalar = 1.0,
    estimator: str | Estimator = "fair",
    scope: Scope = "event",
    area: Area | None = None,
) -> Float[Array, ""]:
    """Kernel score, eq. (1) with rho = scale (k(0) - k); kernels `imq(c)`, `rbf(bandwidth)`, `exponential(bandwidth)`.

    Raises: ValueError for fewer than 2 draws with lam > 0, or shapes that do not fit; scope and area as in `energy_score`.

    >>> from ddjax.scoring.kernels import exponential
    >>> print(f"{kernel_score(jnp.zeros((2, 3)), jnp.zeros(3), kernel=exponential(1.0)):.1f}")  # nothing lies apart
    0.0
    """
    return _terms(samples, observation, kernel, lam, estimator, scope, area).score


def crps(
    samples: Draws, observation: Observation, *, estimator: str | Estimator = "fair", area: Area | None = None
) -> Float[Array, ""]:
    """Continuous ranked probability score, the mean over elements of E|x - y| - E|x - x'| / 2.

    Args: estimator and area as in `energy_score`; `estimator=almost_fair(a)` is the almost fair CRPS of any m.
    References: Gneiting and Raftery, JASA 102 (2007), eq. (21); Lang et al., arXiv 2412.15832.

    >>> print(f"{crps(jnp.array([[0.0], [2.0]]), jnp.array([1.0])):.1f}")  # 1 - 2 / 2
    0.0
    """
    return energy_score(samples, observation, estimator=estimator, scope="element", area=area)
