"""Whether samples are copies of the training data: their nearest neighbours there, against those of held-out data.

With d(z) the distance from z to the nearest training point, q_25 and q_50 quartile and median of d(held out),

    (A)  ratio  = median d(samples) / median d(held out)
    (B)  rank   = P(d(sample) < d(held out)), a tie counting half
    (C)  copies = (P(d(sample) <= near) - P(d(held out) <= near)) / P(d(held out) > near), at least 0
    (D)  near   = q_50 (q_25 / q_50)^4.815

A model that learned the law has ratio 1, rank 1/2 and copies 0, as fresh data have: the held-out points are exchangeable
with perfect samples. One that repeats its training data has ratio near 0, rank and copies near 1; one whose samples are off
the data has ratio above 1 and rank below 1/2, and says nothing about memory.

(C) is the share c of a mixture that copies with c and else samples the law: data that hold near copies of each other, as
photographs do, excuse as many among the samples and no more. (D) is the nearest 1 % of held-out points where d follows the
Weibull law of nearest neighbours, 1 - exp(-rate d^dimension); near copies, up to a quarter of the data, do not move it.
"""

import math
from typing import NamedTuple

import numpy as np

from ddjax.metrics.neighbours import nearest
from ddjax.metrics.points import Points, on_host

_NEAR = math.log(math.log(1 / 0.5) / math.log(1 / 0.99)) / math.log(math.log(1 / 0.5) / math.log(1 / 0.75))  # 4.815


class Memorisation(NamedTuple):
    """Eq. (A) to (C)."""

    ratio: float
    rank: float
    copies: float


def memorisation(samples: Points, train: Points, held_out: Points) -> Memorisation:
    """Eq. (A) to (C), in pixels or in features.

    Raises: ValueError for another dimension, no points in a sample, or numbers that are not finite.
    """
    samples, train, held_out = on_host(samples=samples, train=train, held_out=held_out)
    return compared(nearest(samples, train)[1], nearest(held_out, train)[1])


def compared(own: np.ndarray, fresh: np.ndarray) -> Memorisation:
    """Eq. (A) to (C) of distances that are known already, d(samples) and d(held out)."""
    from scipy.stats import mannwhitneyu  # two seconds, which every other use of metrics is spared

    rank = 1 - mannwhitneyu(own, fresh).statistic / (len(own) * len(fresh))
    with np.errstate(divide="ignore", invalid="ignore"):  # held-out data that are all in the training data: 0 / 0
        ratio = np.median(own) / np.median(fresh)
        copies = _copies(own, fresh)
    return Memorisation(float(ratio), float(rank), float(copies))


def _copies(own: np.ndarray, fresh: np.ndarray) -> np.floating:
    near = threshold(fresh)
    excused = np.mean(fresh <= near)
    return np.maximum((np.mean(own <= near) - excused) / (1 - excused), 0.0)


def threshold(distances: np.ndarray) -> float:
    """Eq. (D): the distance below which one point in a hundred lies, near copies left out."""
    quartile, median = np.quantile(distances, (0.25, 0.5))
    return median * (quartile / median) ** _NEAR if median > 0 else 0.0
