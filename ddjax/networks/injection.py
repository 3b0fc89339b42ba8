"""Where xi joins a network, and how one that has learned without xi goes on with it.

    (A)  h <- h + gate(e) silu(A h + B xi),   gate zero at first
    (B)  s_k(p) = n^-1/2 sum of xi(q) over the n positions q with max |p - q| < 2^k,   k = 0, 1, ... until all are near all

Positions of an image are given (B) in the place of xi: N(0, I) at every scale, of their own and in common with their neighbours.
What moves a whole image, a slant or a colour, would otherwise have to be agreed on by the layers that follow. The windows move with
p: noise that is constant on blocks shows the blocks' edges in one step.

The layer on the concatenation [h, xi] is written as the sum of two, so the product with h is computed once for a population, and
only what follows repeats. A and B start at random, so the zero gate receives gradient.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ddjax.networks.populations import by_rows, repeated
from ddjax.types import Params


class Injection(nn.Module):
    """Eq. (A), for h [batch, *positions, channels], e [batch, length] and as many vectors of xi, [rows, *positions, k]."""

    dtype: Any = None

    @nn.compact
    def __call__(
        self, h: Float[Array, "batch *n c"], embedding: Float[Array, "batch e"], xi: Float[Array, "rows *n k"]
    ) -> Float[Array, "rows *n c"]:
        """The hidden state that knows xi."""
        rows, channels = xi.shape[0], h.shape[-1]
        update = repeated(by_rows(nn.Dense(channels, dtype=self.dtype, name="h"), h), rows)
        update += by_rows(nn.Dense(channels, use_bias=False, dtype=self.dtype, name="xi"), xi)
        gate = nn.Dense(channels, kernel_init=nn.initializers.zeros, dtype=self.dtype, name="gate")(nn.silu(embedding))
        gate = gate.reshape(gate.shape[0], *[1] * (h.ndim - 2), channels)
        return repeated(h, rows) + repeated(gate, rows) * nn.silu(update)


def pyramid(xi: Float[Array, "rows h w k"]) -> Float[Array, "rows h w _"]:
    """Eq. (B) at every position, side by side."""
    height, width = xi.shape[1:3]
    scales, reach = [xi], 1
    while reach < max(height, width):
        reach *= 2
        rows, columns = (jnp.asarray(_near(n, reach), xi.dtype) for n in (height, width))
        scales.append(jnp.einsum("pq,rs,nqsk->nprk", rows, columns, xi))
    return jnp.concatenate(scales, -1)


def _near(n: int, reach: int) -> np.ndarray:
    """Eq. (B) along one axis, as a matrix whose rows have length 1."""
    near = np.abs(np.subtract.outer(np.arange(n), np.arange(n))) < reach
    return near / np.sqrt(near.sum(1, keepdims=True))


def from_mean(params: Params, mean: Params) -> Params:
    """Parameters of a network with xi that answers at first as a mean denoiser's network does, whatever xi is.

    What both have is the mean denoiser's, in buffers of its own, which training may consume. The weights of xi are zero, from
    which the score of draws moves them; behind a zero gate, eq. (A), they are as they were.

    Args:
        params: of the network with xi. mean: of the same network without.
    Raises: ValueError where one is not the other with xi.
    """
    known = {jax.tree_util.keystr(path): value for path, value in jax.tree_util.tree_leaves_with_path(mean)}

    def leaf(path: Any, value: Array) -> Array:
        name = jax.tree_util.keystr(path)
        if name not in known:
            if "'injection'" not in name and "'xi'" not in name:
                raise ValueError(f"the mean denoiser has no {name}, and it is not of xi")
            return value if "'injection'" in name else jnp.zeros_like(value)
        learned = known.pop(name)
        if learned.shape == value.shape:
            return jnp.copy(learned)
        rows = learned.shape[-2] if value.ndim > 1 else 0
        if not 0 < rows < value.shape[-2] or learned.shape != (*value.shape[:-2], rows, value.shape[-1]):
            raise ValueError(f"{name} of the mean denoiser is {learned.shape}, which xi does not make {value.shape}")
        return jnp.zeros_like(value).at[..., :rows, :].set(learned)  # of a layer on [x_t, xi]

    warm = jax.tree_util.tree_map_with_path(leaf, params)
    if known:
        raise ValueError(f"the network with xi has no {min(known)}, which the mean denoiser has")
    return warm
