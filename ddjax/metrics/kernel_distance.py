"""The kernel distance of features, the KID when they are Inception's.

    (1)  MMD^2 with k(x, y) = (x.y / d + 1)^3, U-statistic, averaged over disjoint blocks

Unbiased at every n, where the Frechet distance is not: it may be negative, and is 0 on average at the truth.
References: Binkowski et al., arXiv 1801.01401.
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from ddjax.types import Key

Points = Float[Array | np.ndarray, "_ d"]


class KernelDistance(NamedTuple):
    """The mean over blocks, and its standard error (NaN for a single block)."""

    mean: float
    error: float


def kernel_distance(x: Points, y: Points, key: Key, *, block: int = 1000) -> KernelDistance:
    """Eq. (1), on the host, in float64; `key` puts the points, which may come sorted, into blocks.

    Args:
        block: points of each sample in a block; a sample with fewer than 2 blocks is one.
    Raises: ValueError for samples of different dimension, or fewer than 2 points in a sample or block.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y), block) < 2:
        raise ValueError(
            f"need samples [n, d] and [m, d] and blocks of at least 2, got {x.shape=}, {y.shape=}, {block=}"
        )
    blocks = max(min(len(x), len(y)) // block, 1)
    parts = [
        np.array_split(points[np.asarray(jax.random.permutation(part, len(points)))], blocks)
        for part, points in zip(jax.random.split(key), (x, y), strict=True)
    ]
    values = [_mmd(a, b) for a, b in zip(*parts, strict=True)]
    error = np.std(values, ddof=1) / np.sqrt(blocks) if blocks > 1 else np.nan
    return KernelDistance(float(np.mean(values)), float(error))


def _mmd(x: np.ndarray, y: np.ndarray) -> float:
    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(a: np.ndarray) -> float:
        gram = kernel(a, a)
        return (gram.sum() - np.trace(gram)) / (len(a) * (len(a) - 1))

    return within(x) + within(y) - 2 * kernel(x, y).mean()
