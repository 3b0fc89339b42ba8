"""The eigenbasis of data: the coordinates in which an inflationary flow is diagonal.

    (A)  S = B diag(variances) B^T,   variances descending,   B^T B = I
    (B)  y = B^T (x - mean),   x = mean + B y

(B) is a rotation: it keeps distances, and so squared errors and densities.
References: de Albuquerque and Pearson, arXiv 2407.08843.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

_SMALLEST = 1e-7  # of the largest: what float32 still tells from 0


class Eigenbasis(NamedTuple):
    """Where an event lies and how far it spreads: mean [*event], basis [d, d] (columns), variances [d], d the size of an event."""

    mean: Float[Array, "*event"]
    basis: Float[Array, "d d"]
    variances: Float[Array, " d"]

    def coordinates(self, x: Real[Array | np.ndarray, "batch *event"]) -> Float[Array, "batch d"]:
        """The eigen-coordinates of a batch, y of eq. (B), largest variance first."""
        centred = jnp.asarray(x, float) - self.mean[None]
        return jnp.dot(centred.reshape(len(x), -1), self.basis, precision="highest")

    def points(self, y: Float[Array | np.ndarray, "batch d"]) -> Float[Array, "batch *event"]:
        """The events of eigen-coordinates, x of eq. (B)."""
        turned = jnp.dot(jnp.asarray(y, float), self.basis.T, precision="highest")
        return self.mean[None] + turned.reshape(len(y), *self.mean.shape)


def eigenbasis(data: Real[Array | np.ndarray, "n *event"], *, least: float = 0.0) -> Eigenbasis:
    """The eigenbasis of a data set, of its covariance about its mean (divided by n), in float64 on the host.

    Args:
        least: variances below this share of the largest are raised to it, as if the data carried that much noise: the cure for
            pixels that never change.
    Raises: ValueError for data that are not finite or fewer than 2, or as `eigenbasis_of`.
    """
    points = np.asarray(data, np.float64)
    if points.ndim < 2 or len(points) < 2 or not np.isfinite(points).all():
        raise ValueError(f"need at least 2 finite examples [n, *event], got data of {points.shape=}")
    mean = points.mean(0)
    centred = (points - mean).reshape(len(points), -1)
    return eigenbasis_of(mean, centred.T @ centred / len(points), least=least)


def eigenbasis_of(
    mean: Real[Array | np.ndarray, "*event"], cov: Real[Array | np.ndarray, "d d"], *, least: float = 0.0
) -> Eigenbasis:
    """The eigenbasis of a law with this mean and covariance, eq. (A). Each column's largest entry is positive.

    Raises: ValueError for a covariance that is not [d, d], finite and symmetric, or is singular (smallest variance at most 1e-7
        of the largest) with `least` below that.
    """
    mean, cov = np.asarray(mean, np.float64), np.asarray(cov, np.float64)
    if cov.shape != (mean.size, mean.size) or not (np.isfinite(cov).all() and np.isfinite(mean).all()):
        raise ValueError(f"need a finite mean [*event] and covariance [d, d], got {mean.shape=}, {cov.shape=}")
    if np.abs(cov - cov.T).max() > 1e-5 * np.abs(cov).max():
        raise ValueError(f"a covariance is symmetric, got one off by {np.abs(cov - cov.T).max():.2g}")
    if not 0 <= least < 1:
        raise ValueError(f"the least share of the largest variance lies in [0, 1), got {least=}")
    variances, basis = np.linalg.eigh((cov + cov.T) / 2)
    variances, basis = variances[::-1], basis[:, ::-1]
    variances = np.maximum(variances, least * variances[0])
    if not variances[-1] > _SMALLEST * variances[0]:
        flat = int((variances <= _SMALLEST * variances[0]).sum())
        raise ValueError(
            f"the data have no variance in {flat} of {len(variances)} directions, got a singular covariance: raise their "
            f"variances by least=1e-4, leave those directions out, or add noise"
        )
    largest = np.take_along_axis(basis, np.abs(basis).argmax(0)[None], 0)
    return Eigenbasis(*(jnp.asarray(a, float) for a in (mean, basis * np.sign(largest), variances)))
