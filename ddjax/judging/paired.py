"""Differences between models that met the same seeds, noise and data, with their intervals.

    (A)  d_i = a_i - b_i;   interval: mean(d) -+ t std(d) / sqrt(n),   t = quantile of t_{n-1} at 1 - .05 / (2 k)

What both models share, the luck of a seed and of its fresh data, is not in eq. (A). Of k comparisons that are read together all k
intervals hold in 95 of 100 times (Bonferroni's correction, which needs no independence); for k = 1 and normal d it is exact.
"""

from collections.abc import Sequence
from math import comb
from typing import NamedTuple

import numpy as np
from scipy import stats

from ddjax.inputs import checked_count
from ddjax.judging.numbers import Number


class Difference(NamedTuple):
    """A mean difference and its 95 percent interval."""

    value: float
    low: float
    high: float


def paired(a: Sequence[float], b: Sequence[float], *, comparisons: int = 1) -> Difference:
    """The mean of a - b over pairs, eq. (A); the interval of one pair is the whole line.

    Args: comparisons: k, how many differences are read together with this one, itself included.
    Raises: ValueError for values that do not come in pairs, or fewer than 1 comparison.
    """
    if np.shape(a) != np.shape(b) or np.ndim(a) != 1 or not len(a):
        raise ValueError(f"need pairs of numbers, got shapes {np.shape(a)} and {np.shape(b)}")
    comparisons = checked_count(comparisons, "comparisons")
    d = np.asarray(a, float) - np.asarray(b, float)
    value, n = float(d.mean()), len(d)
    if n == 1:
        return Difference(value, -np.inf, np.inf)
    half = float(stats.t.ppf(1 - 0.05 / (2 * comparisons), n - 1) * d.std(ddof=1) / np.sqrt(n))
    return Difference(value, value - half, value + half)


def rises(numbers: Sequence[Number]) -> list[tuple[int, int, Difference]]:
    """Where more steps are worse beyond the interval: (fewer, more, difference above 0), each against the best of fewer steps.

    The best is itself chosen by these numbers, so that the intervals are those of all pairs of numbers of steps together: where
    steps make no difference, anything is said in at most 5 of 100 times.

    Args:
        numbers: of one model and metric, by number of steps.
    """
    ordered = sorted(numbers, key=lambda number: number.nfe)
    pairs = comb(len(ordered), 2)
    bests = [min(ordered[:i], key=lambda number: number.value) for i in range(1, len(ordered))]
    found = [
        (best.nfe, more.nfe, paired(more.by_seed, best.by_seed, comparisons=pairs))
        for best, more in zip(bests, ordered[1:], strict=True)
    ]
    return [rise for rise in found if rise[2].low > 0]
