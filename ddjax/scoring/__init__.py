"""Scoring rules of a population against one observation: energy and kernel rules, their parts, and sums over patches."""

from ddjax.scoring.estimators import almost_fair, banded, biased, fair, paired
from ddjax.scoring.kernels import Kernel, energy, exponential, imq, rbf, safe_power
from ddjax.scoring.patches import Patched
from ddjax.scoring.rules import Energy, KernelRule, Pairing, Rule, Terms, crps, energy_score, kernel_score, needs_pairs

__all__ = [
    "Energy",
    "Kernel",
    "KernelRule",
    "Pairing",
    "Patched",
    "Rule",
    "Terms",
    "almost_fair",
    "banded",
    "biased",
    "crps",
    "energy",
    "energy_score",
    "exponential",
    "fair",
    "imq",
    "kernel_score",
    "needs_pairs",
    "paired",
    "rbf",
    "safe_power",
]
