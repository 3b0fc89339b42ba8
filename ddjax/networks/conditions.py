"""What our networks are given, checked against what they are built for, before a layer speaks of its kernel."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ddjax.inputs import checked_count

Shape = tuple[int, ...]


def condition_shape(
    event_shape: Shape, *, classes: int = 0, cond_size: int = 0, cond_channels: int = 0
) -> Shape | None:
    """The shape of one condition as the layers see it: (classes,), (cond_size,), (*positions, cond_channels), or None.

    Raises: ValueError for a negative size, or for more than one kind of condition.
    """
    sizes = {"classes": classes, "cond_size": cond_size, "cond_channels": cond_channels}
    if sum(checked_count(size, name, least=0) > 0 for name, size in sizes.items()) > 1:
        raise ValueError(f"a network takes one kind of condition, or none (0), got {sizes}")
    if cond_channels:
        return (*event_shape[:-1], cond_channels)
    return (classes + cond_size,) if classes or cond_size else None


def checked_condition(
    x_t: Array, cond: Any, xi: Array | None, *, event_shape: Shape, cond_shape: Shape | None, inject: int | None
) -> Array | None:
    """The condition in the dtype of x_t, None for a network that takes none.

    Raises: ValueError for events, or a condition, of another shape than the network is built for, or for an xi that it has no
        place for or misses.
    """
    if (xi is None) != (inject is None):
        raise ValueError(f"a network with {inject=} cannot be used {'without' if xi is None else 'with'} xi")
    if x_t.shape[1:] != tuple(event_shape):
        raise ValueError(f"the network is built for {event_shape=}, x_t [batch, *event], got {x_t.shape=}")
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(cond)]
    if cond_shape is None:
        if any(0 not in shape for shape in shapes):
            raise ValueError(
                f"the network is built for no condition (classes=0, cond_size=0, ...) and takes none, got {shapes=}"
            )
        return None
    if shapes != [(x_t.shape[0], *cond_shape)]:
        wanted = f"[batch, {', '.join(map(str, cond_shape))}]"
        raise ValueError(f"the network is built for a condition {wanted}, got {shapes=} with {x_t.shape=}")
    return jnp.asarray(jax.tree.leaves(cond)[0]).astype(x_t.dtype)
