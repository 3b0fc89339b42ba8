"""Training in the eigenspace or in the space of the data.

A basis is a rotation, so that squared errors, and with them losses and their minima, are the same in both spaces; what differs is
what the network sees. Noise and schedules live in the eigenspace always: only there are they diagonal.
"""

from typing import Any

import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array

from ddjax.inflation.eigen import Eigenbasis
from ddjax.inputs import checked_loss
from ddjax.types import Batch, Key, LossFn, Metrics, Network, Params, floating


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
