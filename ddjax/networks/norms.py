"""Norms with their modulation, as functions whose backward pass starts from h in the dtype that it came in.

    (A)  layer norm over channels:  y = (h - mean) / sqrt(variance + 1e-6) (1 + scale) + shift
    (B)  group norm over positions and the channels of a group:
         y = f(((h - mean) / sqrt(variance + 1e-6) w + b) (1 + scale) + shift)

Sums and results are float32 whatever the dtype of h; y has that of h. Written layer by layer, the backward pass keeps, beside
h, the normed h and the values inside f in float32: twice to four times the memory of a network in bfloat16. Here it keeps h
and computes the others again.
"""

import math
from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_EPSILON = 1e-6


@jax.checkpoint
def layer_norm(
    h: Float[Array, "rows n c"], shift: Float[Array, "rows 1 c"], scale: Float[Array, "rows 1 c"]
) -> Float[Array, "rows n c"]:
    """Eq. (A)."""
    x, shift, scale = (a.astype(jnp.float32) for a in (h, shift, scale))
    mean, square = (sums.mean(-1, keepdims=True) for sums in (x, jnp.square(x)))
    return ((x - mean) * _inverse_std(mean, square) * (1 + scale) + shift).astype(h.dtype)


class GroupNorm(nn.Module):
    """Eq. (B), in at most 32 groups of 4 channels or more; f is `then`, and no modulation is scale = shift = 0."""

    then: Callable[[Array], Array] = lambda y: y

    @nn.compact
    def __call__(
        self, h: Float[Array, "rows *n c"], modulation: tuple[Float[Array, "rows c"], ...] = ()
    ) -> Float[Array, "rows *n c"]:
        """The image after it; `modulation` is (scale, shift) or nothing."""
        channels = h.shape[-1]
        weight = self.param("scale", nn.initializers.ones, (channels,), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (channels,), jnp.float32)
        positions = h.reshape(h.shape[0], -1, channels)
        return _grouped(positions, weight, bias, modulation, self.then).reshape(h.shape)


@partial(jax.checkpoint, static_argnums=4)
def _grouped(h: Array, weight: Array, bias: Array, modulation: tuple[Array, ...], then: Callable) -> Array:
    """Sums by channel, then by group, and one multiplication and addition for each number of h."""
    x = h.astype(jnp.float32)
    mean, square = (_by_group(sums.mean(1)) for sums in (x, jnp.square(x)))
    factor = weight[None] * _inverse_std(mean, square)
    term = bias[None] - mean * factor
    if modulation:
        scale, shift = (a.astype(jnp.float32) for a in modulation)
        factor, term = factor * (1 + scale), term * (1 + scale) + shift
    return then(x * factor[:, None] + term[:, None]).astype(h.dtype)


def _by_group(a: Float[Array, "rows c"]) -> Float[Array, "rows c"]:
    """Each channel's number replaced by the mean of its group."""
    groups = math.gcd(max(a.shape[-1] // 4, 1), 32)
    means = a.reshape(a.shape[0], groups, -1).mean(-1)
    return jnp.repeat(means, a.shape[-1] // groups, -1, total_repeat_length=a.shape[-1])


def _inverse_std(mean: Array, square: Array) -> Array:
    return jax.lax.rsqrt(jnp.maximum(0, square - jnp.square(mean)) + _EPSILON)
