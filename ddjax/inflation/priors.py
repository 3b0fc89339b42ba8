"""The Gaussian that latents are drawn from, and how much of them lies where it should.

    (A)  analytic:  N(0, alpha(1)^2 s^2 + sigma(1)^2), the mean and variance of p_1 itself
    (B)  empirical: N(mean, variance) of the latents of an inflation, each direction for itself
    (C)  share of N(mean, std^2 I) with ||(x - mean) / std|| <= r  =  P(chi_d <= r) = gammainc(d / 2, r^2 / 2)

References: de Albuquerque and Pearson, arXiv 2407.08843.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammainc
from jaxtyping import Array, Float

from ddjax.inflation.participation import scaled_variances
from ddjax.inputs import checked_array, checked_count
from ddjax.types import Key, Schedule, standard_normal

Latents = Float[Array | np.ndarray, "n d"]

RADII = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5)


class Prior(NamedTuple):
    """N(mean, diag(std^2)) over latents: mean [d], std [d]."""

    mean: Float[Array, " d"]
    std: Float[Array, " d"]

    def sample(self, key: Key, n: int) -> Float[Array, "n d"]:
        """n latents."""
        return self.placed(standard_normal(key, (checked_count(n, "n", least=0), *self.mean.shape), self.mean.dtype))

    def whitened(self, latents: Latents) -> Float[Array, "n d"]:
        """The latents in units of the prior, where it is N(0, I)."""
        return (latents - self.mean[None]) / self.std[None]

    def placed(self, white: Float[Array, "n d"]) -> Float[Array, "n d"]:
        """Latents of N(0, I) numbers."""
        return self.mean[None] + self.std[None] * white


def analytic_prior(schedule: Schedule, variances: Float[Array | np.ndarray, " d"]) -> Prior:
    """The Gaussian of eq. (A), of data with these variances in their eigenbasis."""
    std = jnp.sqrt(scaled_variances(schedule, variances, 1.0))
    return Prior(jnp.zeros_like(std), std)


def coverage(latents: Latents, prior: Prior, *, radii: tuple[float, ...] = RADII) -> Float[Array, " radii"]:
    """The share of the latents within each Mahalanobis radius of the prior; NaN where a latent is.

    Raises: ValueError for latents of another dimension, or radii that are not positive.
    """
    latents = checked_array(latents, "latents [n, d]")
    if latents.ndim != 2 or latents.shape[1:] != prior.mean.shape:
        raise ValueError(f"need latents [n, d] of the prior's d, got {latents.shape=}, {prior.mean.shape=}")
    _require(radii)
    distance = jnp.linalg.norm(prior.whitened(latents), axis=-1)
    inside = (distance[:, None] <= jnp.asarray(radii, distance.dtype)[None]).astype(distance.dtype)
    return jnp.mean(jnp.where(jnp.isfinite(distance)[:, None], inside, jnp.nan), 0)


def chi_coverage(d: int, *, radii: tuple[float, ...] = RADII) -> Float[Array, " radii"]:
    """The shares of a prior of d dimensions itself, eq. (C). Raises: ValueError for d < 1, or radii that are not positive."""
    d = checked_count(d, "d")
    _require(radii)
    squares = jnp.asarray(radii, float) ** 2
    return gammainc(jnp.full_like(squares, d / 2), squares / 2)


def _require(radii: tuple[float, ...]) -> None:
    if not radii or not all(radius > 0 for radius in radii):
        raise ValueError(f"radii are positive, got {radii=}")
