"""The Frechet distance of two Gaussians, the FID when the points are features of images.

    (1)  d = |mean_x - mean_y|^2 + tr(cov_x) + tr(cov_y) - 2 tr (cov_x^(1/2) cov_y cov_x^(1/2))^(1/2)

The last trace is the sum of the singular values of cov_x^(1/2) cov_y^(1/2), with roots by symmetric eigendecompositions: real
and finite for singular covariances too. On the host, in float64 (float32 gives negative distances). A figure depends on n,
on the feature network and on how images are resized: state them, and the floor between two real samples.
References: Heusel et al., arXiv 1706.08500.
"""

import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float


class Statistics(NamedTuple):
    """Mean and unbiased covariance of a sample."""

    mean: Float[np.ndarray, " d"]
    cov: Float[np.ndarray, "d d"]

    @classmethod
    def of(cls, points: Float[Array | np.ndarray, "n d"]) -> "Statistics":
        """Those of points. Raises: ValueError for fewer than 2 points, or numbers that are not finite."""
        points = np.asarray(points, np.float64)
        if points.ndim != 2 or len(points) < 2 or not np.isfinite(points).all():
            raise ValueError(f"need a sample [n, d] of at least 2 points of finite numbers, got {points.shape=}")
        return cls(points.mean(0), np.atleast_2d(np.cov(points, rowvar=False)))


Sample = Float[Array | np.ndarray, "_ d"] | Statistics


def frechet_distance(x: Sample, y: Sample) -> float:
    """Eq. (1), squared, between two samples [n, d], or their `Statistics`, or one of each.

    Raises: ValueError as `Statistics.of`, and for different dimensions.
    """
    x, y = (sample if isinstance(sample, Statistics) else Statistics.of(sample) for sample in (x, y))
    if x.mean.shape != y.mean.shape:
        raise ValueError(f"need samples of one dimension, got {x.mean.shape=}, {y.mean.shape=}")
    cross = np.linalg.svd(_root(x.cov) @ _root(y.cov), compute_uv=False).sum()
    distance = np.sum((x.mean - y.mean) ** 2) + np.trace(x.cov) + np.trace(y.cov) - 2 * cross
    return float(max(distance, 0.0))


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
    Raises: ValueError for a name with other characters than letters, digits, '.', '_' and '-'.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError(f"names have letters, digits, '.', '_' and '-' alone, got {name!r}")
    file = Path(folder) / f"{name}.npz"
    stored = _read(file)
    if stored is None:
        stored = Statistics.of(points())
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(f".{os.getpid()}.draft.npz")
        np.savez(draft, **stored._asdict())
        os.replace(draft, file)
    return stored


def _read(file: Path) -> Statistics | None:
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            stored = Statistics(arrays["mean"], arrays["cov"])
    except (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, zipfile.BadZipFile):
        return None
    whole = stored.cov.shape == 2 * stored.mean.shape and all(np.isfinite(array).all() for array in stored)
    return stored if whole else None
