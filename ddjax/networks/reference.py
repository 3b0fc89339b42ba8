"""The two networks of the public torch reimplementation (edluyuan/ddm), so that its weights can be used here.

Modules are named as there; `weights.from_torch(weights.read(path), jax.eval_shape(network.init, key))` fills them in. Their
transformer adds the embedding of the time to the tokens once (no adaLN), learns its positions, and has exact gelu.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ddjax.networks.images import image_network
from ddjax.networks.initial import lecun_normal
from ddjax.networks.populations import repeated, repeating
from ddjax.types import Key, Network

_EPSILON = 1e-5  # of layer norms in torch


class Frequencies(nn.Module):
    """sin and cos of 2 pi k t with the whole k of the file."""

    count: int

    @nn.compact
    def __call__(self, t: Float[Array, " batch"]) -> Float[Array, "batch 2*{self.count}"]:
        """Time features."""
        k = self.param("freq", lambda _: jnp.arange(1.0, self.count + 1))
        angles = 2 * jnp.pi * t[:, None] * jax.lax.stop_gradient(k)[None]
        return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], -1)


class MLP(nn.Module):
    """Layers on [x_t, xi, time features]."""

    width: int
    time_size: int

    @nn.compact
    def __call__(
        self, x_t: Float[Array, "batch d"], t: Float[Array, " batch"], xi: Float[Array, "batch d"]
    ) -> Float[Array, "batch d"]:
        """One draw of x_0."""
        h = jnp.concatenate([x_t, xi, Frequencies(self.time_size // 2, name="tfeat")(t)], -1)
        for layer in range(4):
            h = nn.silu(nn.Dense(self.width, name=f"net.{2 * layer}")(h))
        return nn.Dense(x_t.shape[-1], name="net.8")(h)


class Attention(nn.Module):
    """Self-attention with q, k, v in one layer."""

    heads: int

    @nn.compact
    def __call__(self, h: Float[Array, "batch n c"]) -> Float[Array, "batch n c"]:
        """What each token takes from the others."""
        batch, n, channels = h.shape
        qkv = nn.Dense(3 * channels, name="qkv")(h).reshape(batch, n, 3, self.heads, channels // self.heads)
        return nn.Dense(channels, name="proj")(jax.nn.dot_product_attention(*jnp.moveaxis(qkv, 2, 0)).reshape(h.shape))


class Block(nn.Module):
    """h + attention(norm(h)), then h + mlp(norm(h))."""

    heads: int
    ratio: float

    @nn.compact
    def __call__(self, h: Float[Array, "batch n c"]) -> Float[Array, "batch n c"]:
        """The tokens after the block."""
        channels = h.shape[-1]
        h = h + Attention(self.heads, name="attn")(nn.LayerNorm(_EPSILON, name="norm1")(h))
        update = nn.LayerNorm(_EPSILON, name="norm2")(h)
        update = nn.gelu(nn.Dense(int(self.ratio * channels), name="ff.net.0")(update), approximate=False)
        return h + nn.Dense(channels, name="ff.net.2")(update)


class Transformer(nn.Module):
    """Patches of [x_t, xi] as tokens, with time and learned positions added."""

    patch: int
    width: int
    depth: int
    heads: int
    time_size: int
    ratio: float

    @nn.compact
    def __call__(
        self, x_t: Float[Array, "batch h w c"], t: Float[Array, " batch"], cond: None, xi: Float[Array, "rows h w c"]
    ) -> Float[Array, "rows h w c"]:
        """One draw of x_0 for each row of xi."""
        x_t, t = repeated(x_t, xi.shape[0]), repeated(t, xi.shape[0])
        square = (self.patch, self.patch)
        h = nn.Conv(
            self.width,
            square,
            square,
            "VALID",
            kernel_init=lecun_normal,
            name="patch_embed.proj",
        )(jnp.concatenate([x_t, xi], -1))
        batch, rows, columns, _ = h.shape
        half = self.time_size // 2
        angles = t[:, None] * jnp.exp(-math.log(10_000) * jnp.arange(half, dtype=t.dtype) / max(half - 1, 1))[None]
        embedding = nn.Dense(self.width, name="time_mlp.0")(jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], -1))
        embedding = nn.Dense(self.width, name="time_mlp.2")(nn.silu(embedding))
        positions = self.param("pos_embed", nn.initializers.normal(0.02), (1, rows * columns, self.width))
        h = h.reshape(batch, rows * columns, self.width) + embedding[:, None] + positions
        for i in range(self.depth):
            h = Block(self.heads, self.ratio, name=f"blocks.{i}")(h)
        channels = x_t.shape[-1]
        out = nn.Dense(channels * self.patch**2, name="unembed.proj")(nn.LayerNorm(_EPSILON, name="norm")(h))
        out = out.reshape(batch, rows, columns, channels, *square).transpose(0, 1, 4, 2, 5, 3)
        return out.reshape(x_t.shape)


def mlp(size: int = 2, *, width: int = 128, time_size: int = 32) -> Network:
    """The reference's MLP; it takes no condition, and predicts x_0."""
    module = MLP(width, time_size)

    def init(key: Key) -> Any:
        return module.init(key, jnp.zeros((1, size)), jnp.zeros(1), jnp.zeros((1, size)))

    def apply(params: Any, x_t: Array, t: Array, cond: Any = None, xi: Array | None = None) -> Array:
        if xi is None or cond is not None:
            raise ValueError("the reference's MLP eats xi, and no condition")
        return module.apply(params, x_t, t, xi)

    return Network(init, repeating(apply))


def dit(
    event_shape: tuple[int, int, int] = (32, 32, 3),
    *,
    patch: int = 4,
    width: int = 384,
    depth: int = 8,
    heads: int = 6,
    time_size: int = 256,
    ratio: float = 4.0,
) -> Network:
    """The reference's transformer, in the sizes of its CIFAR-10 run; it takes no condition, and predicts x_0."""
    module = Transformer(patch, width, depth, heads, time_size, ratio)
    return image_network(module, event_shape, classes=0, inject=0, convolutional=True)
