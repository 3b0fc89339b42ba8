"""What the image networks share: the embedding of time and condition, patches, and the wrap as `Network`.

(A)  e = W_2 silu(W_1 features(t)) + E c,   c the condition vector, onehot(label) of a label
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ddjax.inputs import checked_key
from ddjax.networks.adapters import labelled
from ddjax.networks.conditions import checked_condition, condition_shape
from ddjax.networks.embeddings import time_features
from ddjax.networks.populations import folding
from ddjax.types import Key, Network

_TIME = 64  # length of the time features


class Embedding(nn.Module):
    """Eq. (A): [batch, width]; a condition of zeros, as that of the null label, adds nothing."""

    width: int
    dtype: Any

    @nn.compact
    def __call__(
        self, t: Float[Array, " batch"], cond: Float[Array, "batch c"] | None
    ) -> Float[Array, "batch {self.width}"]:
        """The embedding that every block reads."""
        h = nn.Dense(self.width, dtype=self.dtype, name="time_0")(time_features(t.astype(jnp.float32), _TIME))
        h = nn.Dense(self.width, dtype=self.dtype, name="time_1")(nn.silu(h))
        return h if cond is None else h + nn.Dense(self.width, use_bias=False, dtype=self.dtype, name="label")(cond)


def patches(x: Float[Array, "batch h w c"], size: int, overlap: int = 0) -> Float[Array, "batch h/{size} w/{size} k"]:
    """Squares of size x size pixels with `overlap` <= size pixels of the image around each, zeros outside it, as one vector."""
    x = _strips(_strips(x, 1, size, overlap), 3, size, overlap).swapaxes(2, 3)
    return x.reshape(*x.shape[:3], -1)


def unpatches(x: Float[Array, "batch h w k"], size: int, overlap: int = 0) -> Float[Array, "batch h*{size} w*{size} c"]:
    """The transpose of `patches`: its inverse, and with an overlap the sum of all squares that hold a pixel."""
    batch, rows, columns, length = x.shape
    shape = (batch, rows * size, columns * size, length // (size + 2 * overlap) ** 2)
    (image,) = jax.linear_transpose(lambda a: patches(a, size, overlap), jax.ShapeDtypeStruct(shape, x.dtype))(x)
    return image


def _strips(x: Array, axis: int, size: int, overlap: int) -> Array:
    """The axis cut in two: strips of `size`, and the positions within one, to which those on both sides belong too."""
    strips = x.reshape(*x.shape[:axis], x.shape[axis] // size, size, *x.shape[axis + 1 :])
    if not overlap:
        return strips
    padded = jnp.pad(strips, [(int(i == axis),) * 2 for i in range(strips.ndim)])
    part = lambda n, begin, end: jax.lax.slice_in_dim(  # noqa: E731
        jax.lax.slice_in_dim(padded, n, n + strips.shape[axis], axis=axis), begin, end, axis=axis + 1
    )
    return jnp.concatenate([part(0, size - overlap, size), strips, part(2, 0, overlap)], axis + 1)


def block_of(inject: int | None, blocks: int) -> int | None:
    """The block before which xi joins, counted from the first. Raises: ValueError for one that does not exist."""
    if inject is not None and not -blocks < inject < blocks:
        raise ValueError(f"xi joins before one of the blocks {1 - blocks}..{blocks - 1}, got {inject=}")
    return inject if inject is None else inject % blocks


def image_network(
    module: nn.Module,
    event_shape: tuple[int, int, int],
    *,
    classes: int,
    cond_size: int,
    cond_channels: int,
    inject: int | None,
    convolutional: bool,
) -> Network:
    """A module called as `module(x_t, t, cond, xi)` on images as a Network.

    A condition that is an image is further channels of x_t, a vector is the cond of the module, and a label becomes one
    (`networks.labelled`).

    Dropout draws its mask from the bits of x_t, whose noise is fresh at every training step: `apply` stays a pure
    function of what it is given, and the draws of a population share one mask, which therefore adds no spread.

    Raises: ValueError for more than one kind of condition.
    """
    sizes = {"classes": classes, "cond_size": cond_size, "cond_channels": cond_channels}
    cond_shape = condition_shape(event_shape, **sizes)

    def inputs(x_t: Array, cond: Array | None) -> tuple[Array, Array | None]:
        return (jnp.concatenate([x_t, cond], -1), None) if cond_channels and cond is not None else (x_t, cond)

    def init(key: Key) -> Any:
        x = jnp.zeros((1, *event_shape))
        image, vector = inputs(x, None if cond_shape is None else jnp.zeros((1, *cond_shape)))
        return module.init(
            {"params": checked_key(key), "dropout": jax.random.key(0)}, image, x[:, 0, 0, 0], vector, _if(inject, x)
        )

    def apply(params: Any, x_t: Array, t: Array, cond: Any = None, xi: Array | None = None) -> Array:
        cond = checked_condition(x_t, cond, xi, event_shape=event_shape, cond_shape=cond_shape, inject=inject)
        image, vector = inputs(x_t, cond)
        bits = jax.lax.bitcast_convert_type(x_t.astype(jnp.float32), jnp.uint32)
        rngs = {"dropout": jax.random.key(jnp.sum(bits, dtype=jnp.uint32))}
        return module.apply(params, image, t, vector, xi, rngs=rngs).astype(x_t.dtype)  # pyright: ignore[reportAttributeAccessIssue]

    network = Network(jax.jit(init), folding(apply), convolutional)
    return labelled(network, classes) if classes else network


def _if(inject: int | None, x: Array) -> Array | None:
    return None if inject is None else x
