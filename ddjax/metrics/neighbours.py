"""Nearest neighbours by products of matrices, in float64 and in blocks: what trees are too slow for beyond some 20 dimensions.

(1)  |a - b|^2 = |a|^2 + |b|^2 - 2 a.b      about a common centre, good to 1e-14 of the largest |a|^2 + |b|^2
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Array, Float

Points = Float[Array | np.ndarray, "_ d"]

_ROWS = 256  # points whose distances are held together: 256 x 60,000 are 120 MB
_ROUNDING = 1e-14
_TIE = 1e-9  # relative rounding of distances that are equal


def nearest(points: Points, data: Points) -> tuple[np.ndarray, np.ndarray]:
    """For each point the index of the nearest one in `data`, and the distance to it, 0 exactly for a copy.

    Raises: ValueError for another dimension, or no points or data.
    """
    points, data = np.asarray(points, np.float64), np.asarray(data, np.float64)
    if points.ndim != 2 or data.ndim != 2 or points.shape[1] != data.shape[1] or not (len(points) and len(data)):
        raise ValueError(f"need points [n, d] and data [m, d], n, m > 0, got {points.shape=}, {data.shape=}")
    found = np.concatenate([squared.argmin(1) for _, squared in _blocks(points, data)])
    return found, np.linalg.norm(points - data[found], axis=1)


def squared_radii(points: np.ndarray, k: int) -> np.ndarray:
    """Squared distance to the k-th neighbour, the point itself left out."""
    return np.concatenate([np.partition(squared, k, 1)[:, k] for _, squared in _blocks(points, points)])


def inside(centres: np.ndarray, squared_radii: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many points each closed ball holds, and whether each point lies in some ball; ties and copies are inside."""
    scale = max((_centred(centres, centres) ** 2).sum(1).max(), (_centred(points, centres) ** 2).sum(1).max())
    limits = squared_radii * (1 + 2 * _TIE) + _ROUNDING * scale
    held, covered = np.zeros(len(centres), int), np.zeros(len(points), bool)
    for rows, squared in _blocks(centres, points):
        within = squared <= limits[rows, None]
        held[rows] = within.sum(1)
        covered |= within.any(0)
    return held, covered


def _centred(points: np.ndarray, data: np.ndarray) -> np.ndarray:
    return points - data.mean(0)


def _blocks(points: np.ndarray, data: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Eq. (1) for rows of `points` against all of `data`."""
    points, data = _centred(points, data), _centred(data, data)
    norms = (data**2).sum(1)
    for start in range(0, len(points), _ROWS):
        rows = points[start : start + _ROWS]
        squared = (rows**2).sum(1)[:, None] + norms - 2 * (rows @ data.T)
        yield slice(start, start + _ROWS), squared.clip(0)
