"""The words that every room shares: array aliases, and the two values that cross rooms, `Network` and `Batch`."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.core
import jax.numpy as jnp
import jaxtyping
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, Shaped

from ddjax.inputs import checked_array, checked_key, described

Key = PRNGKeyArray
Keys = jaxtyping.Key[Array, " size"]
Scalar = float | int | np.floating | np.integer | Float[Array | np.ndarray, ""]
Params = PyTree
Metrics = dict[str, Float[Array, ""]]
Schedule = Callable[[Scalar], Any]

# denoiser(params, key, x_t[batch, *event], t[batch], cond) -> one draw of x_0, [batch, *event]
Denoiser = Callable[[Params, Key, Array, Array, Any], Array]
# the same with params and cond bound: denoise(key, x_t, t) -> x_0
Denoise = Callable[[Key, Array, Array], Array]
# velocity(params, key, x_t[batch, *event], t[batch], cond) -> dx/dt, [batch, *event]
Velocity = Callable[[Params, Key, Array, Array, Any], Array]
# the same with params and cond bound: field(key, x_t, t) -> dx/dt
Field = Callable[[Key, Array, Array], Array]
# loss_fn(params, key, batch) -> (scalar, metrics)
LossFn = Callable[[Params, Key, Any], tuple[Array, Metrics]]
# one reverse step of a sampler: step(key, x_t, t, s) -> x_s
Step = Callable[[Key, Array, Scalar, Scalar], Array]


# apply(params, x_t[batch, *event], t[batch], cond, xi) -> [batch, *event]
Apply = Callable[[Params, Array, Array, Any, Array | None], Array]


class Network(NamedTuple):
    """A network as a pair of pure functions, natively batched.

    `init(key) -> params`; `apply(params, x_t, t, cond, xi) -> [batch, *event]`, where `xi` has the shape of `x_t`,
    or is None for a network that eats no noise. Networks of `ddjax.networks` also take a population of them, xi
    [batch, size, *event] -> [batch, size, *event], and compute once what does not depend on xi
    (`denoisers.folded_population`). `convolutional` tells the training loop that gradients pass through
    convolutions, which XLA's CPU backend runs fifty times slower inside a `lax.scan` than outside.
    """

    init: Callable[[Key], Params]
    apply: Apply
    convolutional: bool = False

    @classmethod
    def of(cls, network: Any) -> "Network":
        """The network itself. Raises: ValueError for what is none, a module of flax or a plain function for instance."""
        if not isinstance(network, cls):
            raise ValueError(
                "need a networks.Network(init, apply), init(key) -> params, apply(params, x_t, t, cond, xi), as networks.mlp "
                f"returns (and networks.from_nnx for a module of flax.nnx), got {described(network)}"
            )
        return network


class Batch(NamedTuple):
    """Data `x_0` [batch, *event] and its condition (None, or a pytree of arrays [batch, ...])."""

    x_0: Array
    cond: Any = None

    @classmethod
    def of(cls, batch: Any) -> "Batch":
        """Read an array as unconditional data, and a pair as (x_0, cond).

        Raises: ValueError for anything else, and for data that are not floating.
        """
        parts = batch if isinstance(batch, tuple) else (batch,)
        if len(parts) not in (1, 2) or not isinstance(parts[0], jax.Array | np.ndarray) or parts[0].ndim < 1:
            raise ValueError(f"a batch is an array x_0 [batch, *event] or a pair (x_0, cond), got {described(batch)}")
        _require_floating(parts[0].dtype, "data")
        return cls(*jax.tree.map(lambda leaf: jnp.asarray(leaf) if isinstance(leaf, np.ndarray) else leaf, parts))


@runtime_checkable
class Resumable(Protocol):
    """An endless iterator over batches that tells its place, the one of the next batch, and goes on from any."""

    def __next__(self) -> Any:
        """The next batch, on the device or devices."""

    def get_state(self) -> str:
        """The place, as text for a checkpoint."""

    def set_state(self, state: str) -> None:
        """Go on from a place. Raises: ValueError for one of another stream."""


def known(*values: Any) -> bool:
    """Whether all values are concrete, so that a caller's mistake can be told before any compute.

    Compare them by NumPy: under jit the comparison of a known array is a tracer.
    """
    return not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(values))


def precise(array: Shaped[Array | np.ndarray, "*shape"] | Scalar) -> Float[Array, "*shape"]:
    """The array in float32, pixels and half precision included, whose sums and differences would wrap or be rounded away.

    float64 stays. Raises: ValueError for what is not real numbers.
    """
    array = jnp.asarray(checked_array(array))
    if not (jnp.issubdtype(array.dtype, jnp.number) or array.dtype == bool) or jnp.iscomplexobj(array):
        raise ValueError(f"need real numbers, got {array.dtype=}")
    return array if array.dtype == jnp.float64 else array.astype(jnp.float32)


def one_number(name: str, value: Scalar) -> Any:
    """A float of a number, an array in at least float32 of an array. Raises: ValueError for an array of several."""
    if isinstance(value, int | float):
        return float(value)
    if jnp.ndim(value) != 0:
        raise ValueError(f"{name} must be one number, got {name} of shape {jnp.shape(value)}")
    return precise(value)


def floating(array: Any, who: str) -> Float[Array, "*shape"]:
    """The array as one of JAX, whose dtype a result will keep.

    Raises: ValueError for integers, to which the result would be rounded, and for what is no array.
    """
    array = jnp.asarray(checked_array(array, f"{who} that are floating"))
    _require_floating(array.dtype, who)
    return array


def _require_floating(dtype: Any, who: str) -> None:
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"{who} are floating, pixels for instance scaled to [-1, 1], got {np.dtype(dtype)} numbers")


def standard_normal(key: Key, shape: tuple[int, ...], dtype: Any = float) -> Float[Array, "*shape"]:
    """N(0, I) numbers, those of `jax.random.normal` bit for bit, drawn in a row and then folded.

    XLA's CPU backend unrolls a draw over several short axes, and takes up to 8 s to compile it (docs/performance.md).
    Raises: ValueError for a dtype of integers, that of the states that the noise is for.
    """
    _require_floating(dtype, "states")
    return jax.random.normal(checked_key(key), (math.prod(shape),), dtype).reshape(shape)


def nan_unless_finite(array: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The array with NaN where it is infinite, before a bounded function makes a good number of it."""
    return jnp.where(jnp.isfinite(array), array, jnp.nan)


def nan_beside(values: Float[Array, " n"], x: Float[Array, "n *event"]) -> Float[Array, " n"]:
    """The values of n examples x, NaN where the example is not finite, which a bounded function of it would hide."""
    return jnp.where(jnp.isfinite(x).reshape(x.shape[0], -1).all(1), values, jnp.nan)


def shaped(value: Any, shape: tuple[int, ...], who: str) -> Array:
    """What `who` returned, an array of this shape. Raises: ValueError, which would otherwise be a broadcast."""
    if getattr(value, "shape", None) != tuple(shape):
        raise ValueError(f"{who} must return an array of shape {tuple(shape)}, got {described(value)}")
    return value
