"""Scoring rules of a population against one observation: energy and kernel rules, their parts, and sums of them for fields."""

from ddjax.scoring.estimators import almost_fair, banded, biased, fair, paired
from ddjax.scoring.kernels import Kernel, energy, exponential, imq, rbf, safe_power
from ddjax.scoring.maps import finite_differences, pooling, scaled, spectrum
from ddjax.scoring.patches import Patched
from ddjax.scoring.rules import Energy, KernelRule, Pairing, Rule, Terms, crps, energy_score, kernel_score, needs_pairs
from ddjax.scoring.scopes import Windows
from ddjax.scoring.sums import Sum

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
    "crps",
    "energy",
    "energy_score",
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
    "spectrum",
]
