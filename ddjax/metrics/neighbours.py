"""Nearest neighbours by products of matrices, in float64 and in blocks: what trees are too slow for beyond some 20 dimensions.

(A)  |a - b|^2 = |a|^2 + |b|^2 - 2 a.b      about a common centre, good to 1e-14 of |a|^2 + |b|^2
"""

from collections.abc import Iterator

import numpy as np

from ddjax.metrics.points import Points, on_host

_ROWS = 256  # points whose distances are held together: 256 x 60,000 are 120 MB
_ROUNDING = 1e-14
_TIE = 1e-9  # relative rounding of distances that are equal


def nearest(points: Points, data: Points) -> tuple[np.ndarray, np.ndarray]:
    """For each point the index of the nearest one in `data`, and the distance to it, 0 exactly for a copy.

    Raises: ValueError for another dimension, no points or data, or numbers that are not finite.
    """
    points, data = on_host(points=points, data=data)
    if not (len(points) and len(data)):
        raise ValueError(f"need points [n, d] and data [m, d], n, m > 0, got {points.shape=}, {data.shape=}")
    found = np.concatenate([squared.argmin(1) for _, squared, _ in _blocks(points, data)])
    return found, np.linalg.norm(points - data[found], axis=1)


def balls(points: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Of the balls about all points that reach their k-th neighbour: squared radius, and `manifold`'s share of the sphere."""
    squared_radii, shares = np.empty(len(points)), np.empty(len(points))
    for rows, squared, rounding in _blocks(points, points):
        squared_radii[rows] = np.partition(squared, k, 1)[:, k]
        closed, opened = _within(squared, squared_radii[rows], rounding)
        shares[rows] = (k - opened.sum(1)) / (closed.sum(1) - opened.sum(1))
    return squared_radii, shares


def inside(
    centres: np.ndarray, squared_radii: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How many points each closed and each open ball holds, and whether each point lies in some closed one.

    Copies of a centre are in its closed ball, and not in an open one of radius 0.
    """
    closed_count, open_count = np.zeros(len(centres), int), np.zeros(len(centres), int)
    covered = np.zeros(len(points), bool)
    for rows, squared, rounding in _blocks(centres, points):
        closed, opened = _within(squared, squared_radii[rows], rounding)
        closed_count[rows], open_count[rows] = closed.sum(1), opened.sum(1)
        covered |= closed.any(0)
    return closed_count, open_count, covered


def _within(squared: np.ndarray, squared_radii: np.ndarray, rounding: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    limits = squared_radii[:, None]
    return squared <= limits * (1 + 2 * _TIE) + rounding, squared < limits * (1 - 2 * _TIE) - rounding


def _blocks(points: np.ndarray, data: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Eq. (A) and its rounding, for rows of `points` against all of `data`."""
    centre = np.median(data, 0)  # the mean would follow one point far off, and all others lose their digits
    points, data = points - centre, data - centre
    norms = (data**2).sum(1)
    for start in range(0, len(points), _ROWS):
        rows = points[start : start + _ROWS]
        scale = (rows**2).sum(1)[:, None] + norms
        yield slice(start, start + _ROWS), (scale - 2 * (rows @ data.T)).clip(0), _ROUNDING * scale
