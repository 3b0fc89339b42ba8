"""Many small arrays as a few long ones, because what a checkpoint costs grows with the number of its arrays."""

import hashlib
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

SHAPES = "shapes"


@jax.jit
def pack(tree: Any) -> dict[str, Array]:
    """One vector for each dtype, its arrays in the tree's order, and under `SHAPES` a digest of what they were.

    The vectors are copies: the tree may be donated at once.
    """
    leaves = jax.tree.leaves(tree)
    vectors = {
        dtype: jnp.concatenate([leaf.ravel() for leaf in leaves if str(leaf.dtype) == dtype])
        for dtype in sorted({str(leaf.dtype) for leaf in leaves})
    }
    return vectors | {SHAPES: jnp.asarray(digest(tree))}


def unpack(vectors: dict[str, Array], like: Any) -> Any:
    """The inverse of `pack`, for a tree of the shapes and dtypes of `like`."""
    leaves, structure = jax.tree.flatten(like)
    used = dict.fromkeys(vectors, 0)
    found = []
    for leaf in leaves:
        name, size = str(leaf.dtype), math.prod(leaf.shape)
        found.append(vectors[name][used[name] : used[name] + size].reshape(leaf.shape))
        used[name] += size
    return jax.tree.unflatten(structure, found)


def digest(tree: Any) -> np.ndarray:
    """32 bytes that differ for trees of other shapes, dtypes or names."""
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    told = repr([(jax.tree_util.keystr(path), tuple(leaf.shape), str(leaf.dtype)) for path, leaf in paths])
    return np.frombuffer(hashlib.sha256(told.encode()).digest(), np.uint8)
