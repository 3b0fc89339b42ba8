"""Differences between models that met the same seeds, noise and data, with their intervals.

    (1)  d_i = a_i - b_i,   mean d;   interval: 2.5 and 97.5 percentiles of the mean of d resampled with replacement

What both models share, the luck of a seed and of its fresh data, is not in eq. (1). The percentile bootstrap of few seeds is
narrow: of 5 normal differences it covers about 83 in 100 times, not 95.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from ddjax.judging.numbers import Number

RESAMPLED = 5000


class Difference(NamedTuple):
    """A mean difference and its 95 percent interval."""

    value: float
    low: float
    high: float


def paired(a: Sequence[float], b: Sequence[float]) -> Difference:
    """The mean of a - b over pairs, eq. (1); the interval of one pair is the whole line.

    Raises: ValueError for values that do not come in pairs.
    """
    if np.shape(a) != np.shape(b) or np.ndim(a) != 1 or not len(a):
        raise ValueError(f"need pairs of numbers, got shapes {np.shape(a)} and {np.shape(b)}")
    d = np.asarray(a, float) - np.asarray(b, float)
    if len(d) == 1:
        return Difference(float(d[0]), -np.inf, np.inf)
    drawn = stats.bootstrap((d,), np.mean, n_resamples=RESAMPLED, method="percentile", rng=np.random.default_rng(0))
    return Difference(float(d.mean()), *map(float, drawn.confidence_interval))


def rises(numbers: Sequence[Number]) -> list[tuple[int, int, Difference]]:
    """Where more steps are worse beyond the interval: (fewer, more, difference above 0), each against the best of fewer steps.

    Args:
        numbers: of one model and metric, by number of steps.
    """
    ordered = sorted(numbers, key=lambda number: number.nfe)
    bests = [min(ordered[:i], key=lambda number: number.value) for i in range(1, len(ordered))]
    pairs = zip(bests, ordered[1:], strict=True)
    found = [(best.nfe, more.nfe, paired(more.by_seed, best.by_seed)) for best, more in pairs]
    return [rise for rise in found if rise[2].low > 0]
