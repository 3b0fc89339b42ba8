"""Training in the eigenspace or in the space of the data, and data in more dimensions than they have.

A basis is a rotation, so that squared errors, and with them losses and their minima, are the same in both spaces; what differs is
what the network sees. Noise and schedules live in the eigenspace always: only there are they diagonal.
"""

from typing import Any

import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float

from ddjax.inflation.eigen import Eigenbasis
from ddjax.inputs import checked_array, checked_count, checked_loss
from ddjax.types import Batch, Key, LossFn, Metrics, Network, Params, Scalar, floating, known, standard_normal


def in_data_space(network: Network, eigen: Eigenbasis) -> Network:
    """A network on events [batch, *event] as one on eigen-coordinates [batch, d], turned back in front of it and again behind.

    It is only turned, not shifted by the mean: its input is noisy data about 0, as in the eigenspace.
    """
    network = Network.of(network)
    turned = eigen._replace(mean=jnp.zeros_like(eigen.mean))
    return network._replace(apply=Partial(_turned, network, turned))


def _turned(
    network: Network, eigen: Eigenbasis, params: Params, y: Array, t: Array, cond: Any = None, xi: Array | None = None
) -> Array:
    floating(y, "states")
    events = [None if a is None else eigen.points(a).astype(a.dtype) for a in (y, xi)]
    return eigen.coordinates(network.apply(params, events[0], t, cond, events[1])).astype(y.dtype)


def on_data(loss_fn: LossFn, eigen: Eigenbasis) -> LossFn:
    """A loss of eigen-coordinates as one of the data themselves, x_0 [batch, *event] or (x_0, cond)."""

    loss_fn = checked_loss(loss_fn)

    def data_loss_fn(params: Params, key: Key, batch: Any) -> tuple[Array, Metrics]:
        x_0, cond = Batch.of(batch)
        y = eigen.coordinates(x_0).astype(x_0.dtype)
        return loss_fn(params, key, y if cond is None else (y, cond))

    return data_loss_fn


def augment(key: Key, x: Float[Array, "batch k"], d: int, *, std: Scalar = 0.0) -> Float[Array, "batch d"]:
    """Points of R^k in R^d: d - k more coordinates of N(0, std^2) noise, or of zeros, whose covariance is singular.

    Raises: ValueError for fewer dimensions than the points have, or a negative std.
    """
    x, d = checked_array(x, "points [batch, k]"), checked_count(d, "d")
    if x.ndim != 2 or d < x.shape[1]:
        raise ValueError(f"points [batch, k] go into d >= k dimensions, got {x.shape=}, {d=}")
    if known(std) and not 0 <= std < jnp.inf:
        raise ValueError(f"std is a finite standard deviation and not negative, got {std=}")
    return jnp.concatenate([x, std * standard_normal(key, (len(x), d - x.shape[1]), x.dtype)], -1).astype(x.dtype)
