"""A term of the loss that is kept in proportion to another one, by a running ratio of the two.

    (A)  loss = l + w l',   w = lam stop_gradient(r)
    (B)  r <- decay r + (1 - decay) clip(l / max(l', tau), 0, highest)

Eq. (B) is a step of gradient descent on (r - clip(...))^2 / 2 at rate 1 - decay. So r lives among the parameters, and
checkpoints, resume, devices and changes of phase have nothing new to carry: `with_ratio` puts it there, `descend_ratio`
gives it that rate, `balanced` reads it and lets the gradient of (B) through.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from ddjax.inputs import checked_key, checked_loss
from ddjax.types import Key, LossFn, Metrics, Network, Params

Term = Callable[[Params, Key, Any], tuple[Array, Metrics]]


def with_ratio(network: Network) -> Network:
    """The network with r beside its parameters, {"network": ..., "ratio": 1}; everything built on it takes both."""
    Network.of(network)

    def init(key: Key) -> Params:
        return {"network": network.init(key), "ratio": jnp.ones(())}

    def apply(params: Params, x_t: Array, t: Array, cond: Any, xi: Array | None) -> Array:
        return network.apply(params["network"], x_t, t, cond, xi)

    return network._replace(init=init, apply=apply)


def descend_ratio(optimizer: optax.GradientTransformation, *, decay: float = 0.99) -> optax.GradientTransformation:
    """The optimiser for the network's parameters alone, and eq. (B) for r.

    Raises: ValueError for a decay outside [0, 1).
    """
    if not 0 <= decay < 1:
        raise ValueError(f"decay must lie in [0, 1), got {decay=}")
    labels = {"network": "network", "ratio": "ratio"}
    return optax.partition({"network": optimizer, "ratio": optax.sgd(1 - decay)}, labels)


def balanced(loss_fn: LossFn, term: Term, *, lam: float = 1.0, tau: float = 1e-6, highest: float = 1e3) -> LossFn:
    """The loss of eq. (A), over the parameters of a network `with_ratio`.

    Args:
        loss_fn: l. term: l', as (params, key, batch) -> (scalar, metrics). lam: 0 leaves l alone and computes no term.
        tau: the least l' that is divided by, positive. highest: of the ratio, positive.
    Returns: loss_fn(params, key, batch); metrics of both and `weight`, that is w. No gradient passes through w, and a
        term that is zero or negative, as an unbiased estimate may be, leaves it finite.
    Raises: ValueError for a negative lam, or a tau or highest that is not positive.
    """
    if not lam >= 0 or not tau > 0 or not highest > 0:
        raise ValueError(f"need lam >= 0, tau > 0 and highest > 0, got {lam=}, {tau=}, {highest=}")
    loss_fn, term = checked_loss(loss_fn), checked_loss(term)
    if lam == 0:
        return loss_fn

    def balanced_loss_fn(params: Params, key: Key, batch: Any) -> tuple[Array, Metrics]:
        key_loss, key_term = jax.random.split(checked_key(key))
        loss, told = loss_fn(params, key_loss, batch)
        value, told_of_term = term(params, key_term, batch)
        now = jnp.clip(jax.lax.stop_gradient(loss / jnp.maximum(value, tau)), 0, highest)
        weight = lam * jax.lax.stop_gradient(params["ratio"])
        total = loss + weight * value
        descent = (params["ratio"] - now) ** 2 / 2
        total += descent - jax.lax.stop_gradient(descent)  # eq. (B): a gradient, and no part of the value
        return total, told | told_of_term | {"regression": loss, "weight": weight, "loss": total}

    return balanced_loss_fn
