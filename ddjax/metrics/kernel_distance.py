"""The kernel distance of features, the KID when they are Inception's.

    (A)  MMD^2 with k(x, y) = (x.y / d + 1)^3, U-statistic, averaged over disjoint blocks

Unbiased at every n, where the Frechet distance is not: it may be negative, and is 0 on average at the truth. The origin
is part of the kernel: moving both samples changes the figure. Terms of one point alone cancel in a U-statistic, so that

    (B)  k(x, y) - k(x, c) - k(c, y) + k(c, c) = 3 p q (2 f + p + q) + g (3 h^2 + 3 h g + g^2)
         f = |c|^2 / d + 1,  p = u.c / d,  q = v.c / d,  g = u.v / d,  h = f + p + q,  u = x - c,  v = y - c

may stand for k, and keeps its digits far from the origin.
References: Binkowski et al., arXiv 1801.01401.
"""

from typing import NamedTuple

import jax
import numpy as np

from ddjax.inputs import checked_count, checked_key
from ddjax.metrics.points import Points, on_host
from ddjax.types import Key


class KernelDistance(NamedTuple):
    """The mean over blocks, and its standard error (NaN for a single block)."""

    mean: float
    error: float


def kernel_distance(x: Points, y: Points, key: Key, *, block: int = 1000) -> KernelDistance:
    """Eq. (A), on the host, in float64; `key` puts the points, which may come sorted, into blocks.

    Args:
        block: points of each sample in a block; a sample with fewer than 2 blocks is one.
    Raises: ValueError for samples of different dimension, numbers that are not finite, or fewer than 2 points in a sample
        or block.
    """
    x, y = on_host(x=x, y=y)
    block = checked_count(block, "block", least=2)
    if min(len(x), len(y)) < 2:
        raise ValueError(f"need samples of at least 2 points, got {x.shape=}, {y.shape=}")
    blocks = max(min(len(x), len(y)) // block, 1)
    parts = [
        np.array_split(points[np.asarray(jax.random.permutation(part, len(points)))], blocks)
        for part, points in zip(jax.random.split(checked_key(key)), (x, y), strict=True)
    ]
    values = [_mmd(a, b) for a, b in zip(*parts, strict=True)]
    error = np.std(values, ddof=1) / np.sqrt(blocks) if blocks > 1 else np.nan
    return KernelDistance(float(np.mean(values)), float(error))


def _mmd(x: np.ndarray, y: np.ndarray) -> float:
    d, c = x.shape[1], (x.mean(0) + y.mean(0)) / 2
    f = c @ c / d + 1

    def kernel(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        p, q, g = (u @ c / d)[:, None], v @ c / d, u @ v.T / d
        h = f + p + q
        return 3 * p * q * (2 * f + p + q) + g * (3 * h**2 + 3 * h * g + g**2)

    def within(u: np.ndarray) -> float:
        gram = kernel(u, u)
        return (gram.sum() - np.trace(gram)) / (len(u) * (len(u) - 1))

    x, y = x - c, y - c
    return within(x) + within(y) - 2 * kernel(x, y).mean()
