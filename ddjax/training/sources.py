"""What the batches of a run come from, checked at the door: a pure function of a key, a stream with a place, or an iterator."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax.tree_util import Partial

from ddjax.training.state import NUMPY_ON_TRACERS
from ddjax.types import Key, Keys, Resumable


def checked(batch: Any, key: Key | Keys, *, kept: bool) -> Partial | Iterator:
    """A function of a key as a `Partial`, whose arrays are arguments and are not compiled in; any iterator as it comes.

    Args:
        kept: whether checkpoints are, to which an iterator without a place cannot be brought back.
    Raises: ValueError for anything else, a function that cannot be traced, and, later, for an iterator that ends.
    """
    if isinstance(batch, Resumable):
        return batch
    if isinstance(batch, Iterator):
        if kept:
            raise ValueError(
                "an iterator without get_state and set_state cannot be resumed: train without checkpoints, or give a stream "
                "such as data.Stream"
            )
        return _endless(batch)
    if not callable(batch):
        raise ValueError(_expected(batch))
    draw = batch if isinstance(batch, Partial) else Partial(batch)
    try:
        jax.eval_shape(draw, key)
    except NUMPY_ON_TRACERS as error:
        raise ValueError(
            "the batch function gives a traced key or index to NumPy: make its arrays JAX's by jnp.asarray outside of it, or "
            "take data.batches(images, size)"
        ) from error
    return draw


def _endless(batches: Iterator) -> Iterator:
    count = 0
    for count, batch in enumerate(batches, 1):  # noqa: B007 (told when they end)
        yield batch
    raise ValueError(f"the iterator that batches come from ended after {count}, before the last step")


def _expected(batch: Any) -> str:
    leaves = jax.tree.leaves(batch)
    if leaves and all(isinstance(leaf, jax.Array | np.ndarray) for leaf in leaves):
        return (
            f"batch is an array of shape {leaves[0].shape}, not a way to draw from it: give `lambda key: jax.random.choice(key, x, "
            "(size,))` with x a JAX array, or data.batches(images, size)"
        )
    return (
        "batch must be a function key -> batch, such as data.batches(images, size), a stream, such as data.Stream, or an "
        f"iterator over batches, such as iter(loader); got {type(batch)}"
    )
