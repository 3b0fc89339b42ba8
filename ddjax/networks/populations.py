"""A population of xi as rows of one batch: x_t repeats from where xi joins, and all that is computed above is shared.

Row i size + j is draw j of example i, so a batch that is split over devices stays split. Products have rows alone, which
the gradient of a weight under `vmap` has not: XLA's CPU backend copies both its factors (docs/performance.md).
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from ddjax.types import Apply, shaped


def repeated(h: Shaped[Array, "batch ..."], rows: int) -> Shaped[Array, "{rows} ..."]:
    """h again for each draw of the population; h itself where there are no more rows than examples.

    Written as a stack, whose gradient is a sum of slices: that of a broadcast is a reduction, five times slower
    on a CPU.
    """
    if rows == h.shape[0]:  # which may be symbolic
        return h
    size = rows // h.shape[0]
    return jnp.stack([h] * size, 1).reshape(rows, *h.shape[1:])


def by_rows(layer: nn.Module, h: Float[Array, "*n c"]) -> Float[Array, "*n d"]:
    """A layer of every position, as one product of rows.

    XLA's CPU backend copies both factors of a weight gradient that contracts several axes; rows make it twice as fast.
    """
    out = layer(h.reshape(-1, h.shape[-1]))
    return out.reshape(*h.shape[:-1], out.shape[-1])


def folding(apply: Apply) -> Apply:
    """A forward pass that takes xi [batch, size, *event], from one that takes its size x batch rows."""

    def folded(params: Any, x_t: Array, t: Array, cond: Any = None, xi: Array | None = None) -> Array:
        if xi is None or xi.ndim == x_t.ndim:
            return apply(params, x_t, t, cond, xi)
        rows = xi.reshape(-1, *x_t.shape[1:])
        return shaped(apply(params, x_t, t, cond, rows), rows.shape, "a network").reshape(xi.shape)

    return folded


def repeating(apply: Apply) -> Apply:
    """The same from one that wants as many x_t, t and cond as xi: nothing is shared."""

    def on_rows(params: Any, x_t: Array, t: Array, cond: Any = None, xi: Array | None = None) -> Array:
        rows = x_t.shape[0] if xi is None else xi.shape[0]
        return apply(params, *jax.tree.map(lambda a: repeated(a, rows), (x_t, t, cond)), xi)

    return folding(on_rows)


class Dropout(nn.Module):
    """Dropout with one mask for all draws of an example, so that it adds no spread to the population."""

    rate: float

    @nn.compact
    def __call__(self, h: Float[Array, "rows ..."], batch: int) -> Float[Array, "rows ..."]:
        """h with a share of `rate` of its numbers at 0, and the rest larger."""
        draws = h.reshape(batch, -1, *h.shape[1:])
        return nn.Dropout(self.rate, broadcast_dims=(1,), deterministic=False)(draws).reshape(h.shape)
