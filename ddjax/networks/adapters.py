"""Other people's modules as `Network(init, apply)`."""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array

from ddjax.types import Key, Network


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
