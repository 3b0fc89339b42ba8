"""Scoring rules of a population against one observation: energy and kernel rules, their parts, and sums of them for fields."""

from typing import TYPE_CHECKING

from ddjax.scoring.estimators import almost_fair, banded, biased, fair, paired
from ddjax.scoring.kernels import Kernel, energy, exponential, imq, rbf
from ddjax.scoring.maps import finite_differences, pooling, scaled, spectrum
from ddjax.scoring.patches import Patched
from ddjax.scoring.rules import (
    Energy,
    KernelRule,
    Pairing,
    Rule,
    by_element,
    by_groups,
    by_position,
    crps,
    estimated,
    needs_pairs,
    with_deprecated,
)
from ddjax.scoring.scopes import Windows
from ddjax.scoring.scores import Terms, energy_score, kernel_score, safe_power, score
from ddjax.scoring.sums import Sum

if not TYPE_CHECKING:  # type checkers and the reference see the functions as they are without deprecated keywords
    energy_score = with_deprecated(energy_score, Energy)
    kernel_score = with_deprecated(kernel_score, KernelRule)

__all__ = [
    "Energy",
    "Kernel",
    "KernelRule",
    "Pairing",
    "Patched",
    "Rule",
    "Sum",
    "Terms",
    "Windows",
    "almost_fair",
    "banded",
    "biased",
    "by_element",
    "by_groups",
    "by_position",
    "crps",
    "energy",
    "energy_score",
    "estimated",
    "exponential",
    "fair",
    "finite_differences",
    "imq",
    "kernel_score",
    "needs_pairs",
    "paired",
    "pooling",
    "rbf",
    "safe_power",
    "scaled",
    "score",
    "spectrum",
]
