"""Training one network with and without its condition, as classifier-free guidance needs it."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ddjax.inputs import checked_key, checked_loss
from ddjax.types import Batch, Key, LossFn, Metrics, Params


def condition_dropout(loss_fn: LossFn, *, probability: float, null: Any) -> LossFn:
    """The same loss with each example's condition replaced by `null` with the given probability.

    Whole examples lose it, all members of a population alike, and before any coupling: the unlabelled are a
    class of their own there, whose noise stays N(0, I) too.

    Args:
        null: the condition without information, of one example, as in `denoisers.guided`.
    Raises: ValueError for a probability outside [0, 1]; the loss, for a batch without a condition.
    References: Ho and Salimans, arXiv 2207.12598, Algorithm 1.
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"probability must lie in [0, 1], got {probability=}")

    loss_fn = checked_loss(loss_fn)

    def dropout_loss_fn(params: Params, key: Key, batch: Any) -> tuple[Array, Metrics]:
        x_0, cond = Batch.of(batch)
        if cond is None:
            raise ValueError("dropout needs a batch (x_0, cond), got one without a condition")
        key_drop, key_loss = jax.random.split(checked_key(key))
        dropped = jax.random.bernoulli(key_drop, probability, x_0.shape[:1])

        def drop(null: Any, cond: Array) -> Array:
            mask = dropped.reshape(-1, *[1] * (cond.ndim - 1))
            return jnp.where(mask, jnp.broadcast_to(jnp.asarray(null, cond.dtype), cond.shape), cond)

        return loss_fn(params, key_loss, (x_0, jax.tree.map(drop, null, cond)))

    return dropout_loss_fn
