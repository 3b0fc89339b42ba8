"""Whether samples are copies of the training data: their nearest neighbours there, against those of held-out data.

With d(z) the distance from z to the nearest training point,

    (1)  ratio  = median d(samples) / median d(held out)
    (2)  rank   = P(d(sample) < d(held out)), a tie counting half
    (3)  copies = share of samples nearer to the training data than all but 1 % of the held-out points

A model that learned the law has ratio 1, rank 1/2 and copies .01, as fresh data have: the held-out points are exchangeable
with perfect samples. One that repeats its training data has ratio near 0, rank and copies near 1; one whose samples are off
the data has ratio above 1 and rank below 1/2, and says nothing about memory.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float
from scipy.stats import mannwhitneyu

from ddjax.metrics.neighbours import nearest

Points = Float[Array | np.ndarray, "_ d"]


class Memorisation(NamedTuple):
    """Eq. (1) to (3)."""

    ratio: float
    rank: float
    copies: float


def memorisation(samples: Points, train: Points, held_out: Points) -> Memorisation:
    """Eq. (1) to (3), in pixels or in features. Raises: ValueError as `nearest`."""
    own, fresh = nearest(samples, train)[1], nearest(held_out, train)[1]
    rank = 1 - mannwhitneyu(own, fresh).statistic / (len(own) * len(fresh))
    with np.errstate(divide="ignore", invalid="ignore"):  # held-out data that are all in the training data: 0 / 0
        ratio = np.median(own) / np.median(fresh)
    return Memorisation(float(ratio), float(rank), float(np.mean(own < np.quantile(fresh, 0.01))))
