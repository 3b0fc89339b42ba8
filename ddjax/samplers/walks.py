"""One `lax.scan` over a grid of times that applies a kernel, and draws in chunks.

A state keeps the dtype it starts with; times, scales and sums are float32 or better. Outside jit, a walk is compiled once for
all steps that differ in arrays alone (`ddjax.compiled`).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float

from ddjax.compiled import compiled
from ddjax.inputs import checked_array, checked_function, checked_key, checked_step
from ddjax.types import Key, Scalar, Step, known, shaped

Times = Float[Array | np.ndarray, " steps_plus_1"]


def sample(step: Step, key: Key, x_1: Float[Array, "batch *event"], times: Times) -> Float[Array, "batch *event"]:
    """Apply `step` along `times` (from 1 down to 0, `ddjax.times.grid`), starting at x_1; a key of its own for each step.

    Raises: ValueError for a grid that is not a strictly decreasing vector, where it is concrete, an x_1 that is not
        floating, or a step that returns another shape.
    """
    return _walk(checked_step(step), checked_key(key), _state(x_1), decreasing(times), False)[0]


def sample_path(
    step: Step, key: Key, x_1: Float[Array, "batch *event"], times: Times
) -> Float[Array, "steps_plus_1 batch *event"]:
    """As `sample`, with every state kept: index 0 is x_1, the last is x_0."""
    x_1 = _state(x_1)
    return jnp.concatenate([x_1[None], _walk(checked_step(step), checked_key(key), x_1, decreasing(times), True)[1]])


def sample_until(step: Step, key: Key, x_1: Float[Array, "batch *event"], times: Times) -> Float[Array, "batch *event"]:
    """As `sample`, along a grid that may repeat its last time: one program for every number of steps up to its length.

    The keys of its steps are those of the shorter grid: the first of more keys are those of fewer.

    Raises: as `sample`, of the grid up to its last time.
    """
    times = checked_array(times, "a grid of times [steps + 1]")
    if known(times):
        decreasing(times[: 1 + int((np.asarray(times) > times[-1]).sum())])
    until = Partial(_until, checked_step(step))
    return _walk(until, checked_key(key), _state(x_1), jnp.asarray(times, float), False)[0]


def _until(step: Step, key: Key, x_t: Array, t: Scalar, s: Scalar) -> Array:
    return jax.lax.cond(s < t, step, lambda key, x_t, t, s: x_t, key, x_t, t, s)


def _state(x_1: Array) -> Array:
    x_1 = checked_array(x_1, "a floating x_1 [batch, *event]")
    if x_1.ndim < 1 or not jnp.issubdtype(x_1.dtype, jnp.floating):
        raise ValueError(f"sampling starts at a floating x_1 [batch, *event], got {x_1.shape=}, {x_1.dtype=}")
    return jnp.asarray(x_1)


def decreasing(times: Times) -> Times:
    """The grid. Raises: ValueError where it is concrete and no strictly decreasing vector."""
    times = checked_array(times, "a grid of times [steps + 1]")
    if times.ndim != 1 or times.shape[0] < 2:
        raise ValueError(f"a grid is a vector of at least 2 times, got {times.shape=}")
    if known(times) and not (np.diff(times) < 0).all():
        raise ValueError(f"a grid must be strictly decreasing from noise (1) to data (0), got {times=}")
    return jnp.asarray(times, float)


@compiled
def _walk(step: Step, key: Key, x_1: Array, times: Array, keep: bool) -> tuple[Array, Array | None]:
    def body(x_t: Array, inputs: tuple[Key, Array, Array]) -> tuple[Array, Array | None]:
        x_s = shaped(step(inputs[0], x_t, inputs[1], inputs[2]), x_t.shape, "a step").astype(x_t.dtype)
        return x_s, x_s if keep else None

    return jax.lax.scan(body, x_1, (jax.random.split(key, times.shape[0] - 1), times[:-1], times[1:]))


def in_chunks(draw: Callable[[Key, int], Array], key: Key, n: int, *, chunk: int) -> Float[Array, "n *event"]:
    """n draws as a loop over `draw(key, chunk)` on the device, so that memory is that of one chunk.

    Raises: ValueError for n or chunk below 1.
    """
    if n < 1 or chunk < 1:
        raise ValueError(f"n and chunk must be at least 1, got {n=}, {chunk=}")
    return _chunks(checked_function(draw, "draw", "key", "n"), checked_key(key), n, min(chunk, n))


@compiled
def _chunks(draw: Callable[[Key, int], Array], key: Key, n: int, chunk: int) -> Array:
    drawn = jax.lax.map(lambda key: draw(key, chunk), jax.random.split(key, -(-n // chunk)))
    return drawn.reshape(-1, *drawn.shape[2:])[:n]
