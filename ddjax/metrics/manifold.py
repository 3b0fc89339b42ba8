"""Precision, recall, density and coverage: samples against the k-nearest-neighbour balls of each other.

With B(z) the closed ball about z that reaches its k-th nearest neighbour within its own sample,

    (1)  precision = share of fake points inside some B(real)      recall   = share of real points inside some B(fake)
    (2)  density   = mean number of B(real) around a fake point, over k
    (3)  coverage  = share of B(real) that hold a fake point

The balls are closed, and ties inside: sets that are equal, or that repeat points, have precision, recall and coverage 1.
(The published code compares by <, which gives 0 where a point has k copies of itself.)
References: Kynkaanniemi et al., arXiv 1904.06991; Naeem et al., arXiv 2002.09797.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float
from scipy.spatial import cKDTree

from ddjax.metrics import neighbours

Points = Float[Array | np.ndarray, "_ d"]

_TREE = 20  # dimensions beyond which products are faster than trees
_TIE = 1e-9  # relative rounding of distances that are equal
_ROWS = 256  # centres looked up together: bounds the memory of the lists of neighbours


class PRDC(NamedTuple):
    """Eq. (1) to (3): precision, recall and coverage in [0, 1]; density about 1 at the truth, unbounded above."""

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(real: Points, fake: Points, *, k: int = 5) -> PRDC:
    """Precision, recall, density and coverage of `fake` against `real`, on the host, in float64.

    Hundredths of a second for 10,000 points in the plane, by k-d trees; some ten seconds in 128 dimensions, by products.
    Raises: ValueError for samples of different dimension, k < 1, or no more than k points in a sample.
    """
    real, fake = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1]:
        raise ValueError(f"need samples [n, d] and [m, d], got {real.shape=}, {fake.shape=}")
    if not 1 <= k < min(len(real), len(fake)):
        raise ValueError(f"k must be at least 1 and below both sizes, got {k=}, {len(real)=}, {len(fake)=}")
    held, precise = _inside(real, _radii(real, k), fake)
    _, recalled = _inside(fake, _radii(fake, k), real)
    density = held.sum() / (k * len(fake))
    return PRDC(float(precise.mean()), float(recalled.mean()), float(density), float((held > 0).mean()))


def _radii(points: np.ndarray, k: int) -> np.ndarray:
    """Distance to the k-th neighbour, the point itself left out."""
    if points.shape[1] > _TREE:
        return np.sqrt(neighbours.squared_radii(points, k))
    return cKDTree(points).query(points, k + 1)[0][:, k] * (1 + _TIE)


def _inside(centres: np.ndarray, radii: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many points each ball holds, and whether each point lies in some ball."""
    if points.shape[1] > _TREE:
        return neighbours.inside(centres, radii**2, points)
    tree = cKDTree(points)
    held, covered = np.zeros(len(centres), int), np.zeros(len(points), bool)
    for start in range(0, len(centres), _ROWS):
        rows = slice(start, start + _ROWS)
        found = tree.query_ball_point(centres[rows], radii[rows])
        held[rows] = [len(inside) for inside in found]
        covered[np.concatenate(found).astype(int)] = True
    return held, covered
