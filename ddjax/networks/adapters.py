"""Other people's modules as `Network(init, apply)`."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ddjax.networks.populations import repeating
from ddjax.types import Key, Network, known


def from_nnx(make: Callable[[Key], Any]) -> Network:
    """A Network from a Flax NNX module that is called as `module(x_t, t, cond, xi)`.

    Args:
        make: key -> module, for instance `lambda key: MyModule(rngs=nnx.Rngs(key))`. All its variables become params.
    """
    from flax import nnx  # a second to import, which only its users should pay

    graph, _ = nnx.split(nnx.eval_shape(lambda: make(jax.random.key(0))))

    def init(key: Key) -> Any:
        return nnx.to_pure_dict(nnx.state(make(key)))

    def apply(params: Any, x_t: Array, t: Array, cond: Any = None, xi: Array | None = None) -> Array:
        return nnx.merge(graph, params)(x_t, t, cond, xi)

    return Network(init, repeating(apply))


def labelled(network: Network, classes: int) -> Network:
    """The same network with integer labels [batch] as condition: one-hot of length `classes`, its `cond_size`.

    The label `classes` is the null of guidance and dropout, and reads as zeros.

    Raises: ValueError for classes < 1; `apply`, without labels or for a label outside 0..classes where it is concrete;
        where it is traced, its example becomes NaN.
    """
    if classes < 1:
        raise ValueError(f"need at least 1 class, got {classes=}")

    def apply(params: Any, x_t: Array, t: Array, cond: Any = None, xi: Array | None = None) -> Array:
        if cond is None or cond.shape != x_t.shape[:1]:
            raise ValueError(f"need one label for each example, got {x_t.shape=}, {getattr(cond, 'shape', None)=}")
        if known(cond):  # by NumPy: known labels stay known while a loop around them is traced
            _require_labels(np.asarray(cond), classes)
        label = jnp.where(_is_label(cond, classes)[:, None], jax.nn.one_hot(cond, classes, dtype=x_t.dtype), jnp.nan)
        return network.apply(params, x_t, t, label, xi)

    return network._replace(apply=apply)


def _require_labels(labels: np.ndarray, classes: int) -> None:
    if not _is_label(labels, classes).all():
        raise ValueError(f"labels are 0..{classes - 1}, and {classes} for none, got {labels}")


def _is_label(cond: Array | np.ndarray, classes: int) -> Array | np.ndarray:
    return (cond >= 0) & (cond <= classes)


def flattened(network: Network, event_shape: tuple[int, ...]) -> Network:
    """A network of vectors for events of `event_shape`, images for instance: x_t and xi are flattened, its answer unflattened.

    Raises: ValueError, when called, for other events.
    """

    def flat(a: Array | None) -> Array | None:
        return None if a is None else a.reshape(*a.shape[: a.ndim - len(event_shape)], math.prod(event_shape))

    def apply(params: Any, x_t: Array, t: Array, cond: Any = None, xi: Array | None = None) -> Array:
        if x_t.shape[1:] != tuple(event_shape):
            raise ValueError(f"the network is flattened for {event_shape=}, got {x_t.shape=}")
        out = network.apply(params, flat(x_t), t, cond, flat(xi))
        return out.reshape(*out.shape[:-1], *event_shape)

    return network._replace(apply=apply)
