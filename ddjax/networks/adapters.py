"""Other people's modules as `Network(init, apply)`."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

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

    return Network(init, apply)


def labelled(network: Network, classes: int) -> Network:
    """The same network with integer labels [batch] as condition: one-hot of length `classes`, its `cond_size`.

    The label `classes` is the null of guidance and dropout, and reads as zeros.

    Raises: ValueError for classes < 1; `apply`, without labels or for a label outside 0..classes where it is concrete.
    """
    if classes < 1:
        raise ValueError(f"need at least 1 class, got {classes=}")

    def apply(params: Any, x_t: Array, t: Array, cond: Any = None, xi: Array | None = None) -> Array:
        if cond is None or cond.shape != x_t.shape[:1]:
            raise ValueError(f"need one label for each example, got {x_t.shape=}, {getattr(cond, 'shape', None)=}")
        # by NumPy: known labels stay known while a loop around them is traced, what JAX makes of them does not
        if known(cond) and not ((0 <= np.asarray(cond)) & (np.asarray(cond) <= classes)).all():
            raise ValueError(f"labels are 0..{classes - 1}, and {classes} for none, got {cond}")
        return network.apply(params, x_t, t, jax.nn.one_hot(cond, classes, dtype=x_t.dtype), xi)

    return Network(network.init, apply)
