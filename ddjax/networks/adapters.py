"""Other people's modules as `Network(init, apply)`."""

import inspect
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ddjax.inputs import checked_count, checked_key, described
from ddjax.networks.populations import repeating
from ddjax.types import Key, Network, known


def from_nnx(make: Callable[[Key], Any]) -> Network:
    """A Network from a Flax NNX module that is called as `module(x_t, t, cond, xi)`; its params are its `nnx.Param`s.

    For points in the plane, trained as any other network:

        class Net(nnx.Module):
            def __init__(self, rngs):
                self.hidden, self.out = nnx.Linear(5, 64, rngs=rngs), nnx.Linear(64, 2, rngs=rngs)

            def __call__(self, x_t, t, cond, xi):  # [batch, 2], [batch], None, [batch, 2]
                return self.out(nnx.silu(self.hidden(jnp.concatenate([x_t, t[:, None], xi], -1))))

        network = networks.from_nnx(lambda key: Net(nnx.Rngs(key)))
        loss_fn = objectives.distributional(denoisers.distributional(network, schedule), schedule)

    Args:
        make: key -> module, a function that makes it anew.
    Raises: ValueError for anything else, for a module that is not called with these four, or one that keeps state beside its
        params (batch norm, dropout): a pure function has nowhere to keep it.
    """
    from flax import nnx  # a second to import, which only its users should pay

    told = "from_nnx takes a function key -> module, such as `lambda key: MyModule(rngs=nnx.Rngs(key))`"
    if isinstance(make, type | nnx.Module) or not callable(make):
        raise ValueError(f"{told}, got {make if isinstance(make, type) else type(make)}")
    module = nnx.eval_shape(lambda: make(jax.random.key(0)))
    if not isinstance(module, nnx.Module):
        raise ValueError(f"{told}; this one returned {type(module)}")
    _require_four_arguments(module)
    graph, state = nnx.split(module)
    kept = [".".join(map(str, path)) for path, leaf in nnx.to_flat_state(state) if not isinstance(leaf, nnx.Param)]
    if kept:
        raise ValueError(f"a module of nnx.Param alone can be a pure function; this one keeps state in {kept}")

    def init(key: Key) -> Any:
        return nnx.to_pure_dict(nnx.state(make(checked_key(key))))

    def apply(params: Any, x_t: Array, t: Array, cond: Any = None, xi: Array | None = None) -> Array:
        return nnx.merge(graph, params)(x_t, t, cond, xi)

    return Network(init, repeating(apply))


def _require_four_arguments(module: Callable[..., Any]) -> None:
    try:
        inspect.signature(module.__call__).bind(None, None, None, None)
    except TypeError as error:
        raise ValueError(
            f"a module is called as module(x_t, t, cond, xi), but {type(module).__name__}: {error}"
        ) from None


def labelled(network: Network, classes: int) -> Network:
    """The same network with integer labels [batch] as condition: one-hot of length `classes`, its `cond_size`.

    The label `classes` is the null of guidance and dropout, and reads as zeros.

    Raises: ValueError for classes < 1; `apply`, without labels or for a label outside 0..classes where it is concrete;
        where it is traced, its example becomes NaN.
    """
    Network.of(network)
    classes = checked_count(classes, "classes")

    def apply(params: Any, x_t: Array, t: Array, cond: Any = None, xi: Array | None = None) -> Array:
        if cond is None or cond.shape != x_t.shape[:1]:
            raise ValueError(f"need one label for each example, got {x_t.shape=} and {described(cond)}")
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

    Network.of(network)

    def flat(a: Array | None) -> Array | None:
        return None if a is None else a.reshape(*a.shape[: a.ndim - len(event_shape)], math.prod(event_shape))

    def apply(params: Any, x_t: Array, t: Array, cond: Any = None, xi: Array | None = None) -> Array:
        if x_t.shape[1:] != tuple(event_shape):
            raise ValueError(f"the network is flattened for {event_shape=}, got {x_t.shape=}")
        out = network.apply(params, flat(x_t), t, cond, flat(xi))
        return out.reshape(*out.shape[:-1], *event_shape)

    return network._replace(apply=apply)
