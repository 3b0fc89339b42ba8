"""Scoring rules as values: `rule(samples, observation, t) -> Terms`, for ONE example, samples [m, *event].

`Energy(beta, lam)` is that of the paper, `KernelRule(kernel, lam)` any other. What else a rule may be made of joins by functions
from a rule to a rule: norms over groups of the event (`by_position`, `by_element`, `by_groups`) and another estimate of the
interaction (`estimated`). Rules of these are equal where their parts are, so that they may be static arguments.
"""

from collections.abc import Callable
from dataclasses import InitVar, dataclass, replace
from functools import wraps
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Array, Float

from ddjax.inputs import checked_rule, described
from ddjax.scoring.estimators import Estimator, almost_fair, biased, paired, score_by
from ddjax.scoring.kernels import Kernel, energy
from ddjax.scoring.scopes import Area, Groups, Over, element, position
from ddjax.scoring.scores import Draws, Observation, Terms, has_interaction, score
from ddjax.types import Scalar, precise

Rule = Callable[[Array, Array, Scalar], Terms]  # (samples [m, *event], observation [*event], t) -> Terms


@runtime_checkable
class Pairing(Protocol):
    """A rule that says whether it compares draws with each other."""

    @property
    def pairs(self) -> bool:
        """Whether two draws are needed."""


def needs_pairs(rule: Rule) -> bool:
    """Whether a rule needs two draws, by its own word; a plain function, which has none, is taken to need one alone."""
    return isinstance(rule, Pairing) and rule.pairs


@dataclass(frozen=True)
class KernelRule:
    """A rule of a kernel: `scores.score` of its rho, by default over the whole event and with the fair interaction.

    Args:
        kernel: a `Kernel`, or a function of t that returns one. lam: >= 0, or a function of t; 1 is proper, 0 needs no
            second draw.
        estimator: of the interaction (`estimated`). over: the groups of the event (`by_element` and the like).
        scope, area: deprecated since 0.4, for `by_position`, `by_element` and `by_groups`; so are estimators by name.
    Raises: ValueError for what is no kernel, or a constant lam that is negative or infinite; when called, as `scores.score` does.
    """

    kernel: Kernel | Callable[[Array], Kernel]
    lam: Scalar | Callable[[Array], Array] = 1.0
    estimator: Estimator | str | None = None
    over: Over | None = None
    scope: InitVar[str | Groups] = "event"
    area: InitVar[Area | None] = None

    def __post_init__(self, scope: str | Groups, area: Area | None):
        if not callable(self.kernel):
            raise ValueError(
                f"need a kernel, as scoring.rbf() is one, or a function of t to one, got {described(self.kernel)}"
            )
        has_interaction(self.lam)
        if isinstance(self.estimator, str):
            object.__setattr__(self, "estimator", _named("estimator", self.estimator, _ESTIMATORS))
        if scope != "event" or area is not None:
            groups = scope if callable(scope) else _named("scope", scope, _SCOPES)
            object.__setattr__(self, "over", Over(groups, area))

    @property
    def pairs(self) -> bool:
        """Whether two draws are needed: unless lam = 0."""
        return has_interaction(self.lam)

    def __call__(self, samples: Draws, observation: Observation, t: Scalar = 0.0) -> Terms:
        """Terms of one example at time t."""
        kernel = self.kernel if isinstance(self.kernel, Kernel) else self.kernel(precise(t))
        lam = self.lam(precise(t)) if callable(self.lam) else self.lam
        rho = kernel if self.over is None else self.over(kernel)
        if self.estimator is None or not has_interaction(lam):
            return score(rho, samples, observation, lam)
        return score_by(self.estimator, rho, samples, observation, lam)


def Energy(
    beta: Scalar | Callable[[Array], Array] = 1.0,
    lam: Scalar | Callable[[Array], Array] = 1.0,
    *,
    estimator: Estimator | str | None = None,
    scope: str | Groups = "event",
    area: Area | None = None,
) -> KernelRule:
    """The energy rule, rho = ||.||^beta, with beta and lam numbers or functions of t.

    Args: estimator, scope, area: deprecated, as those of `KernelRule`.
    Raises: ValueError for a constant beta outside (0, 2], or as `KernelRule`.
    """
    kernel = _EnergyAt(beta) if callable(beta) else energy(beta)
    return KernelRule(kernel, lam, estimator, scope=scope, area=area)


@dataclass(frozen=True)
class _EnergyAt:
    """t -> the energy kernel of beta(t); equal for the same function."""

    beta: Callable[[Array], Array]

    def __call__(self, t: Array) -> Kernel:
        return energy(self.beta(t))


def by_position(rule: KernelRule, area: Area | None = None) -> KernelRule:
    """The rule of each position, a norm over the last axis of the event, averaged over positions with weights `area`.

    Args:
        area: >= 0, of the event's shape with 1 for the last axis (and wherever it is the same for all), for instance the
            cosine of the latitude as [height, 1, 1]. Where it is 0 a missing value (NaN) is left out; without, NaN makes
            the score NaN.
    Raises: ValueError for a rule of no kernel, or an area that is negative, not finite or 0 everywhere; the result, for an
        area that does not fit.
    """
    return _changed(rule, over=Over(position, area))


def by_element(rule: KernelRule, area: Area | None = None) -> KernelRule:
    """The rule of each element, averaged over elements with weights `area` of the event's shape; else as `by_position`."""
    return _changed(rule, over=Over(element, area))


def by_groups(rule: KernelRule, groups: Groups) -> KernelRule:
    """The rule of groups of elements, averaged over groups: squares [n, *event] -> squared distances [n, *groups].

    `by_groups(rule, Windows(3))` is that of all patches of an image.
    """
    return _changed(rule, over=Over(groups))


def estimated(rule: KernelRule, estimator: Estimator) -> KernelRule:
    """The rule with another estimate of its interaction: `biased`, `almost_fair(a)`, `paired`, `banded(width)`, or one's own."""
    return _changed(rule, estimator=estimator)


def _changed(rule: KernelRule, **parts: Any) -> KernelRule:
    if not isinstance(checked_rule(rule), KernelRule):
        raise ValueError(f"need a rule of a kernel, as scoring.Energy() is one, got {described(rule)}")
    return replace(rule, **parts)


def crps(
    samples: Draws, observation: Observation, *, estimator: Estimator | str | None = None, area: Area | None = None
) -> Float[Array, ""]:
    """Continuous ranked probability score, the mean over elements of E|x - y| - E|x - x'| / 2.

    Args: estimator as in `estimated`, None for the fair one; `almost_fair(a)` gives the almost fair CRPS of any m. area as
        in `by_element`.
    References: JASA 102 (2007), Gneiting and Raftery eq. (21); Lang et al., arXiv 2412.15832.

    >>> import jax.numpy as jnp
    >>> print(f"{crps(jnp.array([[0.0], [2.0]]), jnp.array([1.0])):.1f}")  # 1 - 2 / 2
    0.0
    """
    return by_element(Energy(estimator=estimator), area)(samples, observation).score


_ESTIMATORS = {"fair": None, "v": biased, "almost_fair": almost_fair(), "paired": paired}
_SCOPES = {"event": "event", "position": position, "element": element}


def _named(argument: str, name: str, meanings: dict[str, Any]) -> Any:
    if name not in meanings:
        raise ValueError(f"{argument} must be one of {sorted(meanings)} or a function, got {name!r}")
    return meanings[name]


def with_deprecated(function: Callable[..., Array], rule: Callable[..., KernelRule]) -> Callable[..., Array]:
    """`energy_score` or `kernel_score` with estimator, scope and area too, until 0.5: a rule takes their place."""

    @wraps(function)
    def scored(samples: Draws, observation: Observation, **given: Any) -> Float[Array, ""]:
        if not {"estimator", "scope", "area"} & {*given}:
            return function(samples, observation, **given)
        return rule(**given)(samples, observation).score

    return scored
