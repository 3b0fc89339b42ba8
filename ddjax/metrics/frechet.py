"""The Frechet distance of two Gaussians, the FID when the points are features of images.

    (A)  d = |mean_x - mean_y|^2 + tr(cov_x) + tr(cov_y) - 2 tr (cov_x^(1/2) cov_y cov_x^(1/2))^(1/2)

The last trace is the sum of the singular values of cov_x^(1/2) cov_y^(1/2), with roots by symmetric eigendecompositions: real
and finite for singular covariances too. Of centred samples X [n, d] and Y [m, d] it is also that of

    (B)  X Y^T / ((n - 1) (m - 1))^(1/2)

which is the smaller matrix for fewer points than dimensions. On the host, in float64 (float32 gives negative distances). A
figure depends on n, on the feature network and on how images are resized: state them, and the floor between two real samples.
References: Heusel et al., arXiv 1706.08500.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from ddjax.data import npz
from ddjax.files import replacing, require_plain
from ddjax.metrics.points import Points, on_host


class Statistics(NamedTuple):
    """Mean and unbiased covariance of a sample."""

    mean: Float[np.ndarray, " d"]
    cov: Float[np.ndarray, "d d"]

    @classmethod
    def of(cls, points: Points) -> "Statistics":
        """Those of points. Raises: ValueError for fewer than 2 points, or numbers that are not finite."""
        return _statistics(points=points)


def _statistics(**named: Points) -> Statistics:
    (name,), (points,) = named, on_host(**named)
    if len(points) < 2:
        raise ValueError(f"need a sample [n, d] of at least 2 points in {name}, got shape {points.shape}")
    return Statistics(points.mean(0), np.atleast_2d(np.cov(points, rowvar=False)))


Sample = Points | Statistics


def frechet_distance(x: Sample, y: Sample) -> float:
    """Eq. (A), squared, between two samples [n, d], or their `Statistics`, or one of each.

    Raises: ValueError as `Statistics.of`, for statistics that are not finite, and for different dimensions.

    >>> x = np.random.default_rng(0).normal(size=(9, 2))
    >>> round(frechet_distance(x, x + np.array([3.0, 4.0])), 4)  # |mean - mean|^2, the covariances being equal
    25.0
    """
    if not isinstance(x, Statistics) and not isinstance(y, Statistics):
        x, y = on_host(x=x, y=y)
        if min(len(x), len(y)) >= 2 and max(len(x), len(y)) < x.shape[1]:
            return _of_few(x, y)
    x = x if isinstance(x, Statistics) else _statistics(x=x)
    y = y if isinstance(y, Statistics) else _statistics(y=y)
    for name, statistics in (("x", x), ("y", y)):
        if not all(np.isfinite(array).all() for array in statistics):
            raise ValueError(f"need finite mean and covariance, got NaN or infinity in those of {name}")
    if x.mean.shape != y.mean.shape:
        raise ValueError(f"need samples of one dimension, got {x.mean.shape=}, {y.mean.shape=}")
    return _distance(x.mean - y.mean, np.trace(x.cov) + np.trace(y.cov), _root(x.cov) @ _root(y.cov))


def _of_few(x: np.ndarray, y: np.ndarray) -> float:
    """By eq. (B)."""
    apart = x.mean(0) - y.mean(0)
    x, y = ((a - a.mean(0)) / np.sqrt(len(a) - 1) for a in (x, y))
    return _distance(apart, np.sum(x**2) + np.sum(y**2), x @ y.T)


def _distance(apart: np.ndarray, traces: float, cross: np.ndarray) -> float:
    distance = np.sum(apart**2) + traces - 2 * np.linalg.svd(cross, compute_uv=False).sum()
    return float(np.maximum(distance, 0.0))  # the rounding of equal samples


def _root(cov: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(cov)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T


def cached_statistics(
    folder: str | Path, name: str, points: Callable[[], Float[Array | np.ndarray, "n d"]]
) -> Statistics:
    """The statistics of reference points, computed once and kept in `folder` under `name`.

    Args:
        name: of everything that they depend on, for instance digest of the data, split, feature network and resize.
        points: computes the points where the file is not there or cannot be read.
    Raises: ValueError for a name with other characters than letters, digits, '.', '_' and '-'; OSError for a file that cannot
        be written, before points are computed where it is something else than a plain file.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError(f"names have letters, digits, '.', '_' and '-' alone, got {name!r}")
    file = Path(folder).expanduser() / f"{name}.npz"
    stored = _read(file)
    if stored is None:
        require_plain(file)
        stored = Statistics.of(points())
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as out:
            np.savez(out, **stored._asdict())
    return stored


def _read(file: Path) -> Statistics | None:
    try:
        arrays = npz.read(file)
        stored = Statistics(*(np.asarray(arrays[name], np.float64) for name in Statistics._fields))
    except (OSError, ValueError, KeyError):
        return None
    whole = stored.mean.ndim == 1 and stored.cov.shape == 2 * stored.mean.shape
    return stored if whole and all(np.isfinite(array).all() for array in stored) else None
