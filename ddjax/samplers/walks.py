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
from ddjax.inputs import checked_array, checked_count, checked_function, checked_key, checked_step
from ddjax.times import grid
from ddjax.types import Key, Scalar, Step, known, shaped

Times = Float[Array | np.ndarray, " steps_plus_1"] | int | np.integer  # a number of steps is `times.grid` of it


def sample(step: Step, key: Key, x_1: Float[Array, "batch *event"], times: Times) -> Float[Array, "batch *event"]:
    """Apply `step` on a grid of times from 1 down to 0, starting at x_1, the loop of DDM Algorithm 2; a key for each step.

    Args:
        times: `ddjax.times.grid(n)`, or n, the number of steps.
    Raises: ValueError for a grid that is not a strictly decreasing vector, where it is concrete, fewer than 1 step, an x_1 that is
        not floating, or a step that returns another shape.
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
    times = _grid(times)
    if known(times):
        decreasing(times[: 1 + int((np.asarray(times) > times[-1]).sum())])
    until = Partial(_until, checked_step(step))
    return _walk(until, checked_key(key), _state(x_1), jnp.asarray(times, float), False)[0]


def _until(step: Step, key: Key, x_t: Array, t: Scalar, s: Scalar) -> Array:
    # functions of this call: JAX keeps the branches of a cond by identity, and what a user's function reads may have changed
    return jax.lax.cond(s < t, lambda *args: step(*args), lambda key, x_t, t, s: x_t, key, x_t, t, s)


def _state(x_1: Array) -> Array:
    x_1 = checked_array(x_1, "a floating x_1 [batch, *event]")
    if x_1.ndim < 1 or not jnp.issubdtype(x_1.dtype, jnp.floating):
        raise ValueError(f"sampling starts at a floating x_1 [batch, *event], got {x_1.shape=}, {x_1.dtype=}")
    return jnp.asarray(x_1)


def decreasing(times: Times) -> Float[Array, " steps_plus_1"]:
    """The grid of these times, or of this number of steps.

    Raises: ValueError where it is concrete and no strictly decreasing vector, or for fewer than 1 step.
    """
    times = _grid(times)
    if times.ndim != 1 or times.shape[0] < 2:
        raise ValueError(f"a grid is a vector of at least 2 times, got {times.shape=}")
    if known(times) and not (np.diff(times) < 0).all():
        raise ValueError(f"a grid must be strictly decreasing from noise (1) to data (0), got {times=}")
    return jnp.asarray(times, float)


def _grid(times: Times) -> Array | np.ndarray:
    is_number = not isinstance(times, list | tuple) and getattr(times, "ndim", 0) == 0
    return grid(times) if is_number else checked_array(times, "a grid of times [steps + 1]")


@compiled
def _walk(step: Step, key: Key, x_1: Array, times: Array, keep: bool) -> tuple[Array, Array | None]:
    def body(x_t: Array, inputs: tuple[Key, Array, Array]) -> tuple[Array, Array | None]:
        key, t, s = inputs
        key = jax.random.clone(key)  # under vmap, `jax_debug_key_reuse` takes the keys of a scan for used ones
        x_s = shaped(step(key, x_t, t, s), x_t.shape, "a step").astype(x_t.dtype)
        return x_s, x_s if keep else None

    return jax.lax.scan(body, x_1, (jax.random.split(key, times.shape[0] - 1), times[:-1], times[1:]))


def in_chunks(draw: Callable[..., Array], key: Key, n: int, *conds: Array, chunk: int) -> Float[Array, "n *event"]:
    """n draws as a loop on the device over chunks of `draw(key, 1)`, vectorised, so that memory is that of one chunk.

    Draw i has the key `fold_in(key, i)`, whatever n and the chunk are, so that these change no draw beyond rounding, which
    may differ between shapes.

    Args:
        draw: (key, 1, *rows of conds [1, ...]) -> [1, *event].
        conds: arrays [n, ...], of which draw i gets row i.
    Raises: ValueError for n or chunk below 1, or conds of another length than n.
    """
    n, chunk = checked_count(n, "n"), checked_count(chunk, "chunk")
    conds = tuple(checked_array(cond, "a condition [n, ...]") for cond in conds)
    if any(cond.shape[:1] != (n,) for cond in conds):
        raise ValueError(f"need a row of every condition for each of {n=} draws, got {[cond.shape for cond in conds]}")
    draw = checked_function(draw, "draw", "key", "n", *("cond" for _ in conds))
    return _chunks(draw, checked_key(key), n, min(chunk, n), conds)


@compiled
def _chunks(draw: Callable[..., Array], key: Key, n: int, chunk: int, conds: tuple[Array, ...]) -> Array:
    def one(i: Array) -> Array:
        return draw(jax.random.fold_in(key, i), 1, *(cond[i % n][None] for cond in conds))[0]

    return jax.lax.map(one, jnp.arange(-(-n // chunk) * chunk), batch_size=chunk)[:n]  # whole chunks: one program
