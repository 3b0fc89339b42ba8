"""The diffusion transformer (DiT) for images: patches as tokens, adaLN-zero blocks, fixed sin-cos positions.

    (A)  h <- h + gate_1(e) attention(norm(h) (1 + scale_1(e)) + shift_1(e))
    (B)  h <- h + gate_2(e) mlp(norm(h) (1 + scale_2(e)) + shift_2(e))

with e the embedding of time and condition; all gates, scales and shifts are 0 at first, so every block starts as the identity.
Tokens may overlap: each sees, and draws, pixels of its neighbours too, and what is drawn twice is added. Disjoint ones show their
edges until the network has learned that they must not. References: Peebles and Xie, arXiv 2212.09748.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ddjax.inputs import checked_count
from ddjax.networks.attention import Kernel, SelfAttention
from ddjax.networks.images import Embedding, block_of, image_network, patches, unpatches
from ddjax.networks.injection import Injection, pyramid
from ddjax.networks.norms import layer_norm
from ddjax.networks.populations import Dropout, by_rows, repeated
from ddjax.types import Network


class Modulation(nn.Module):
    """`count` vectors [rows, 1, channels] from the embedding, zero at first."""

    count: int
    channels: int
    dtype: Any

    @nn.compact
    def __call__(self, embedding: Float[Array, "batch e"], rows: int) -> list[Array]:
        """Shifts, scales and gates."""
        dense = nn.Dense(self.count * self.channels, kernel_init=nn.initializers.zeros, dtype=self.dtype, name="dense")
        return jnp.split(repeated(dense(nn.silu(embedding))[:, None], rows), self.count, -1)


class Block(nn.Module):
    """Eq. (A) and (B) on tokens [rows, n, width]."""

    heads: int
    ratio: int
    dropout: float
    dtype: Any
    kernel: Kernel = "auto"

    @nn.compact
    def __call__(self, h: Float[Array, "rows n c"], embedding: Float[Array, "batch e"]) -> Float[Array, "rows n c"]:
        """The tokens after attention and MLP."""
        rows, channels = h.shape[0], h.shape[-1]
        modulation = Modulation(6, channels, self.dtype, name="modulation")
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = modulation(embedding, rows)
        out_init = nn.initializers.lecun_normal()
        attention = SelfAttention(self.heads, out_init, self.dtype, self.kernel, name="attention")
        h = h + gate_1 * attention(layer_norm(h, shift_1, scale_1))
        update = layer_norm(h, shift_2, scale_2)
        update = by_rows(nn.Dense(self.ratio * channels, dtype=self.dtype, name="mlp_0"), update)
        update = Dropout(self.dropout)(_gelu(update), embedding.shape[0])
        return h + gate_2 * by_rows(nn.Dense(channels, dtype=self.dtype, name="mlp_1"), update)


_gelu = jax.checkpoint(nn.gelu)  # whose backward pass keeps its argument, not every step of the formula


def positions(rows: int, columns: int, width: int) -> Float[np.ndarray, "{rows*columns} {width}"]:
    """sin and cos of row and of column, a quarter of the width each, with wavelengths from 2 pi to 2 pi 10^4."""
    frequencies = 1e-4 ** (np.arange(width // 4) / (width // 4))
    row, column = np.mgrid[:rows, :columns].reshape(2, -1, 1) * frequencies
    return np.concatenate([np.sin(row), np.cos(row), np.sin(column), np.cos(column)], 1).astype(np.float32)


class DiT(nn.Module):
    """`depth` blocks on the patches of x_t; xi joins before block `inject`, at 0 as channels of the image.

    x_t may hold further channels than the `channels` that are predicted: those of a condition.
    """

    channels: int
    patch: int
    overlap: int
    width: int
    depth: int
    heads: int
    ratio: int
    inject: int | None
    dropout: float
    dtype: Any
    remat: bool
    kernel: Kernel

    @nn.compact
    def __call__(
        self,
        x_t: Float[Array, "batch h w _"],
        t: Float[Array, " batch"],
        cond: Float[Array, "batch k"] | None = None,
        xi: Float[Array, "rows h w {self.channels}"] | None = None,
    ) -> Float[Array, "_ h w {self.channels}"]:
        """The prediction at each (x_t, t), or row of xi."""
        block = nn.remat(Block) if self.remat else Block
        cut = patches(x_t, self.patch, self.overlap)
        batch, rows, columns, _ = cut.shape
        h = by_rows(nn.Dense(self.width, dtype=self.dtype, name="patches"), cut.reshape(batch, rows * columns, -1))
        h = h + jnp.asarray(positions(rows, columns, self.width), self.dtype)[None]
        if self.inject == 0:  # a layer on [x_t, xi] is the sum of two
            noise = patches(xi, self.patch, self.overlap)  # pyright: ignore[reportArgumentType]
            noise = noise.reshape(-1, rows * columns, noise.shape[-1])
            update = by_rows(nn.Dense(self.width, use_bias=False, dtype=self.dtype, name="xi"), noise)
            h = repeated(h, noise.shape[0]) + update
        embedding = Embedding(self.width, self.dtype, name="embedding")(t, cond)
        for i in range(self.depth):
            if i and i == self.inject:
                known = pyramid(patches(xi, self.patch))  # pyright: ignore[reportArgumentType]
                h = Injection(self.dtype, name="injection")(
                    h, embedding, known.reshape(*known.shape[:1], *h.shape[1:2], -1)
                )
            h = block(self.heads, self.ratio, self.dropout, self.dtype, self.kernel, name=f"block_{i}")(h, embedding)
        shift, scale = Modulation(2, self.width, self.dtype, name="modulation")(embedding, h.shape[0])
        h = layer_norm(h, shift, scale)
        length = (self.patch + 2 * self.overlap) ** 2 * self.channels
        out = by_rows(nn.Dense(length, kernel_init=nn.initializers.zeros, dtype=self.dtype, name="out"), h)
        return unpatches(out.reshape(-1, rows, columns, length), self.patch, self.overlap)


def dit(
    event_shape: tuple[int, int, int],
    *,
    patch: int = 4,
    overlap: int = 0,
    width: int = 128,
    depth: int = 6,
    heads: int = 4,
    ratio: int = 4,
    classes: int = 0,
    cond_size: int = 0,
    cond_channels: int = 0,
    inject: int | None = 0,
    dropout: float = 0.0,
    dtype: Any = jnp.float32,
    remat: bool = False,
    kernel: Kernel = "auto",
) -> Network:
    """A diffusion transformer on images of `event_shape` (height, width, channels).

    Args:
        patch: pixels along a side of a token. overlap: pixels beyond each side that it sees and draws too, at most `patch`.
        ratio: hidden over outer width of the MLPs.
        classes: number of labels, 0 for none; the label `classes` is the null, as in `networks.labelled`. cond_size: length of
            the condition vector [batch, cond_size], which joins the embedding of t. cond_channels: of a condition image [batch,
            h, w, cond_channels], which joins x_t as channels. One of the three.
        inject: 0 gives xi as channels of the image (the paper's concatenation); k > 0 joins it before block k and shares
            all blocks above over the population, negative k counts from the end; None is a network without xi.
        dropout: rate inside the MLPs. It acts in every call: train with it, and sample from the same parameters with
            the network of `dropout=0`. dtype: of the compute; parameters and output keep theirs.
        remat: recompute each block in the backward pass instead of storing it.
        kernel: of attention: "cudnn" is NVIDIA's, in 16-bit dtypes alone, with a first derivative in reverse mode alone; "xla"
            is written out, and has all derivatives, which likelihoods need, and exports to every platform; "auto" takes cudnn
            for heads of a multiple of 8 up to 128 in such a dtype where the device has it, and xla elsewhere.
    Returns: Network(init(key), apply(params, x_t [batch, h, w, c], t [batch], cond | None, xi)).
    Raises: ValueError for an image that patches do not tile, an overlap beyond the next token, heads that do not divide the
        width, a width that is no multiple of 4, an injection outside the blocks, or two kinds of conditions; `apply`, for
        events or a condition of another shape.
    """
    height, breadth, channels = event_shape
    counts = {"patch": patch, "width": width, "depth": depth, "heads": heads, "ratio": ratio}
    patch, width, depth, heads, ratio = (checked_count(count, name) for name, count in counts.items())
    overlap = checked_count(overlap, "overlap", least=0)
    if height % patch or breadth % patch:
        raise ValueError(f"patches must tile the image, got {event_shape=}, {patch=}")
    if overlap > patch:
        raise ValueError(f"tokens overlap their next neighbours alone, got {overlap=}, {patch=}")
    if width % 4 or width % heads:
        raise ValueError(f"the width must be a multiple of 4 and of heads, got {width=}, {heads=}")
    inject = block_of(inject, depth)
    module = DiT(channels, patch, overlap, width, depth, heads, ratio, inject, dropout, dtype, remat, kernel)
    sizes = {"classes": classes, "cond_size": cond_size, "cond_channels": cond_channels}
    return image_network(module, event_shape, **sizes, inject=inject, convolutional=False)
