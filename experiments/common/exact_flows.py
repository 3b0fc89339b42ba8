"""Inflationary flows with nothing left to learn: of Gaussian mixtures, by their exact posterior means.

A flow lives in the eigenbasis of its law. All points of a batch are at one time here, as on a grid, and so the factors of every
component are computed once for each time and not once for each point.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float

from ddjax import flows, inflation
from ddjax.inflation import Eigenbasis, Prior
from ddjax.mixtures import GaussianMixture
from ddjax.samplers import Times
from ddjax.types import Denoiser, Field, Key, Schedule, standard_normal

Points = Float[Array, "n d"]

GAMMA = 5e-4  # of the paper: noise at t = 0, in units of the data's variance, without which the score may be singular


class ExactFlow(NamedTuple):
    """The flow of a law under a schedule: the law's eigenbasis, and the law in it."""

    eigen: Eigenbasis
    mixture: GaussianMixture
    schedule: Schedule


def preserving(mixture: GaussianMixture) -> ExactFlow:
    """The PR-preserving flow of a mixture."""
    eigen = inflation.eigenbasis_of(mixture.mean(), mixture.cov())
    return ExactFlow(eigen, turned(mixture, eigen), inflation.preserving(eigen.variances, gamma=GAMMA))


def reducing(mixture: GaussianMixture, *, keep: int = 1) -> ExactFlow:
    """The PR-reducing flow of a mixture, of the constant gap 1. Raises: ValueError as `inflation.reducing`."""
    eigen = inflation.eigenbasis_of(mixture.mean(), mixture.cov())
    return ExactFlow(eigen, turned(mixture, eigen), inflation.reducing(eigen.variances, keep=keep, gamma=GAMMA))


def turned(mixture: GaussianMixture, eigen: Eigenbasis) -> GaussianMixture:
    """A mixture in eigen-coordinates."""
    covs = jnp.einsum("ai,kab,bj->kij", eigen.basis, mixture.covs, eigen.basis, precision="highest")
    return GaussianMixture(mixture.weights, eigen.coordinates(mixture.means), (covs + covs.swapaxes(1, 2)) / 2)


def reweighted(flow: ExactFlow, weights: Float[Array, " k"]) -> ExactFlow:
    """The flow of the same components in other shares, under the same schedule."""
    return flow._replace(mixture=GaussianMixture(weights, flow.mixture.means, flow.mixture.covs))


def field(flow: ExactFlow) -> Field:
    """The velocity of the probability flow, for batches that share their time."""
    oracle = inflation.mixture_oracle(flow.mixture, flow.schedule)
    return flows.velocity(Partial(_at_one_time, oracle), flow.schedule)


def _at_one_time(oracle: Denoiser, key: Key, x: Array, t: Array) -> Array:
    return jax.vmap(lambda x: oracle(None, key, x[None], t[:1])[0])(x)


def latent_prior(flow: ExactFlow) -> Prior:
    """N(mean, diag variance) of x_1, each direction for itself: `inflation.analytic_prior`, about the mean of the law."""
    alpha, sigma = flow.schedule(1.0)
    return Prior(alpha * flow.mixture.mean(), jnp.sqrt(alpha**2 * jnp.diagonal(flow.mixture.cov()) + sigma**2))


def inflated(flow: ExactFlow, key: Key, x: Points, times: Times) -> Points:
    """The latents of points, in units of the prior."""
    latents = inflation.inflate(field(flow), key, flow.eigen.coordinates(x), times)
    return latent_prior(flow).whitened(latents)


def deflated(flow: ExactFlow, key: Key, white: Points, times: Times) -> Points:
    """The points of latents in units of the prior: what undoes `inflated`."""
    latents = latent_prior(flow).placed(white)
    return flow.eigen.points(inflation.generate(field(flow), key, latents, times))


def returned(flow: ExactFlow, key: Key, x: Points, times: Times, *, keep: int | None = None) -> Points:
    """Points after a round trip with all latents, or with the first `keep` and the prior's mean in the place of the others."""
    send = (lambda latents: latents) if keep is None else inflation.truncated(keep, fill=latent_prior(flow).mean)
    trip = inflation.round_trip(field(flow), key, flow.eigen.coordinates(x), times, send=send)
    return flow.eigen.points(trip.x_0)


def generated(flow: ExactFlow, key: Key, n: int, times: Times) -> Points:
    """n points from fresh latents of the prior."""
    key_latents, key_flow = jax.random.split(key)
    white = standard_normal(key_latents, (n, len(flow.eigen.variances)))
    return deflated(flow, key_flow, white, times)


def moons(*, noise: float, points: int = 64) -> GaussianMixture:
    """The law of `toys.two_moons`: a Gaussian of its noise at `points` evenly spread places of each half circle.

    The places are at the middles of equal arcs; where these are shorter than the noise, the law is that of uniform angles.
    """
    a = np.pi * (np.arange(points) + 0.5) / points
    outer, inner = np.stack([np.cos(a), np.sin(a)], -1), np.stack([1 - np.cos(a), 0.5 - np.sin(a)], -1)
    means = np.concatenate([outer, inner])
    return GaussianMixture(np.full(2 * points, 0.5 / points), means, np.stack([noise**2 * np.eye(2)] * (2 * points)))
