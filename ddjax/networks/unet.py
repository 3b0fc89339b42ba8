"""The UNet for images: residual blocks on a ladder of resolutions, down and up again, with skips across.

    (A)  h <- skip(h) + conv(silu(norm(conv(silu(norm(h)))) (1 + scale(e)) + shift(e)))

with e the embedding of time and condition and the last convolution 0 at first. Resolutions change by averaging 2 x 2 and by
repeating, without weights. The sizes are ours: those of the paper's UNet are not published.
References: Ho et al., arXiv 2006.11239; Dhariwal and Nichol, arXiv 2105.05233.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from ddjax.inputs import checked_count
from ddjax.networks.attention import Kernel, SelfAttention
from ddjax.networks.images import Embedding, block_of, image_network, patches
from ddjax.networks.initial import lecun_normal
from ddjax.networks.injection import Injection, pyramid
from ddjax.networks.norms import GroupNorm
from ddjax.networks.populations import Dropout, by_rows, repeated
from ddjax.types import Network

Image = Float[Array, "rows h w c"]


class Block(nn.Module):
    """Eq. (A), and where `heads` > 0 h <- h + attention(norm(h)) after it, zero at first."""

    channels: int
    heads: int
    dropout: float
    dtype: Any
    kernel: Kernel = "auto"

    @nn.compact
    def __call__(self, h: Image, embedding: Float[Array, "batch e"]) -> Float[Array, "rows h w {self.channels}"]:
        """The image after the block."""
        modulation = nn.Dense(2 * self.channels, dtype=self.dtype, name="modulation")(nn.silu(embedding))
        scale, shift = jnp.split(repeated(modulation, h.shape[0]), 2, -1)
        update = _conv(self.channels, self.dtype, name="conv_0")(GroupNorm(nn.silu)(h))
        update = GroupNorm(nn.silu)(update, (scale, shift))
        update = Dropout(self.dropout)(update, embedding.shape[0])
        update = _conv(self.channels, self.dtype, zero=True, name="conv_1")(update)
        if h.shape[-1] != self.channels:
            h = by_rows(nn.Dense(self.channels, dtype=self.dtype, name="skip"), h)
        h = h + update
        return self._attended(h) if self.heads else h

    def _attended(self, h: Image) -> Image:
        tokens = GroupNorm()(h).reshape(h.shape[0], -1, h.shape[-1])
        attention = SelfAttention(self.heads, nn.initializers.zeros, self.dtype, self.kernel, name="attention")
        return h + attention(tokens).reshape(h.shape)


def _conv(channels: int, dtype: Any, *, name: str, zero: bool = False) -> nn.Module:
    init = nn.initializers.zeros if zero else lecun_normal
    return nn.Conv(channels, (3, 3), kernel_init=init, dtype=dtype, name=name)


def _halved(h: Array) -> Array:
    batch, height, width, channels = h.shape
    return h.reshape(batch, height // 2, 2, width // 2, 2, channels).mean((2, 4))


def _doubled(h: Array) -> Array:
    return h.repeat(2, 1).repeat(2, 2)


class UNet(nn.Module):
    """`depth` blocks at each resolution, on the way down and again on the way up; xi joins before block `inject`.

    x_t may hold further channels than the `channels` that are predicted: those of a condition.
    """

    channels: int
    widths: tuple[int, ...]
    depth: int
    attention: tuple[int, ...]
    heads: int
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
        xi: Image | None = None,
    ) -> Float[Array, "_ h w {self.channels}"]:
        """The prediction at each (x_t, t), or row of xi."""
        block = nn.remat(Block) if self.remat else Block
        embedding = Embedding(4 * self.widths[0], self.dtype, name="embedding")(t, cond)
        count = 0

        def through(h: Array, width: int) -> Array:
            nonlocal count
            if count and count == self.inject:
                noise = patches(xi, x_t.shape[1] // h.shape[1])
                h = Injection(self.dtype, name="injection")(h, embedding, pyramid(noise))
            heads = self.heads if h.shape[1] in self.attention else 0
            count += 1
            return block(width, heads, self.dropout, self.dtype, self.kernel, name=f"block_{count - 1}")(h, embedding)

        early = self.inject == 0
        image = jnp.concatenate([repeated(x_t, xi.shape[0]), xi], -1) if early else x_t  # pyright: ignore[reportOptionalMemberAccess]
        h = _conv(self.widths[0], self.dtype, name="in")(image)
        skips = []
        for level, width in enumerate(self.widths):
            h = _halved(h) if level else h
            for _ in range(self.depth):
                h = through(h, width)
                skips.append(h)
        h = through(h, self.widths[-1])
        for level, width in reversed(list(enumerate(self.widths))):
            for _ in range(self.depth):
                h = through(jnp.concatenate([h, repeated(skips.pop(), h.shape[0])], -1), width)
            h = _doubled(h) if level else h
        return _conv(self.channels, self.dtype, zero=True, name="out")(GroupNorm(nn.silu)(h))


def unet(
    event_shape: tuple[int, int, int],
    *,
    width: int | tuple[int, ...] = 64,
    depth: int = 2,
    attention: tuple[int, ...] = (),
    heads: int = 4,
    classes: int = 0,
    cond_size: int = 0,
    cond_channels: int = 0,
    inject: int | None = 0,
    dropout: float = 0.0,
    dtype: Any = jnp.float32,
    remat: bool = False,
    kernel: Kernel = "auto",
) -> Network:
    """A UNet on images of `event_shape` (height, width, channels).

    Args:
        width: channels at each resolution, from the full one, each next half as fine: (w, 2 w, 2 w) for a number w, or all of
            them as a tuple.
        depth: residual blocks at each resolution, on either way; with one in the middle there are
            2 resolutions depth + 1 in all.
        attention: heights, in pixels, at which blocks end with attention of `heads` heads.
        classes: number of labels, 0 for none; the label `classes` is the null, as in `networks.labelled`. cond_size: length of
            the condition vector [batch, cond_size], which joins the embedding of t. cond_channels: of a condition image [batch,
            h, w, cond_channels], which joins x_t as channels. One of the three.
        inject: 0 gives xi as channels of the image (the paper's concatenation; the doubled output whose second half
            the paper drops is left out, which changes nothing); k > 0 joins it before block k and shares all above
            over the population, negative k counts from the end; None is a network without xi.
        dropout: rate inside the blocks. It acts in every call: train with it, and sample from the same parameters with
            the network of `dropout=0`. dtype: of the compute; parameters and output keep theirs.
        remat: recompute each block in the backward pass instead of storing it.
        kernel: of attention: "cudnn" is NVIDIA's, in 16-bit dtypes alone, with a first derivative in reverse mode alone; "xla"
            is written out, and has all derivatives, which likelihoods need, and exports to every platform; "auto" takes cudnn
            for heads of a multiple of 8 up to 128 in such a dtype where the device has it, and xla elsewhere.
    Returns: Network(init(key), apply(params, x_t [batch, h, w, c], t [batch], cond | None, xi)).
    Raises: ValueError for an image that cannot be halved often enough, attention at a height that does not occur, heads
        that do not divide its width, an injection outside the blocks, or two kinds of conditions; `apply`, for events or a
        condition of another shape.
    """
    widths = tuple(width) if isinstance(width, tuple | list) else (width, 2 * width, 2 * width)
    widths = tuple(checked_count(each, "width") for each in widths)
    depth, heads = checked_count(depth, "depth"), checked_count(heads, "heads")
    heights = {event_shape[0] >> level: width for level, width in enumerate(widths)}
    if any(side % (1 << (len(widths) - 1)) for side in event_shape[:2]):
        raise ValueError(f"the image must halve {len(widths) - 1} times, got {event_shape=}, {width=}")
    if not set(attention) <= set(heights) or any(heights[height] % heads for height in attention):
        raise ValueError(f"attention acts at heights {heights} (: width, a multiple of {heads=}), got {attention=}")
    inject = block_of(inject, 2 * len(widths) * depth + 1)
    module = UNet(event_shape[-1], widths, depth, tuple(attention), heads, inject, dropout, dtype, remat, kernel)
    sizes = {"classes": classes, "cond_size": cond_size, "cond_channels": cond_channels}
    return image_network(module, event_shape, **sizes, inject=inject, convolutional=True)
