"""Samplers: kernels `step(key, x_t, t, s) -> x_s`, and one `lax.scan` over a grid of times that applies them.

A kernel takes a batch x_t [batch, *event] at one time t and brings it to s < t. `denoise(key, x_t, t) -> x_0`
is a denoiser with its parameters bound (`denoisers.bind`). The kernels on the probability-flow ODE are those
of `flows` on the denoiser's velocity; a network that predicts velocities takes them from there,
`flows.heun(field)`, and needs no detour through x_0.

A state keeps the dtype it starts with; times, scales and sums are float32 or better. Outside jit, `sample` is compiled
once for all steps that differ in arrays alone (`ddjax.compiled`).

Orders of convergence hold where the velocity is smooth in time. It is not at t = 0 where sigma grows like sqrt(t)
(`OrnsteinUhlenbeck`, `VariancePreserving`): there take `times.grid(n, "quadratic")`, or `times.matched(schedule, n)`, which
chooses by schedule.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float

from ddjax import flows, paths
from ddjax.compiled import compiled
from ddjax.types import Denoise, Key, Scalar, Schedule, Step, known, shaped, standard_normal

Times = Float[Array | np.ndarray, " steps_plus_1"]


def bridge(denoise: Denoise, schedule: Schedule, *, churn: Scalar = 1.0) -> Step:
    """Draw x_0, then x_s from the bridge between x_0 and x_t, with xi and z from separate keys.

    Args:
        churn: in [0, 1]; 0 is DDIM, 1 DDPM. Exact at every number of steps when `denoise` draws from the true
        posterior.
    Raises: ValueError for a churn outside [0, 1].
    References: De Bortoli et al., arXiv 2502.02483, Algorithm 2.
    """
    if known(churn) and not 0 <= np.asarray(churn) <= 1:
        raise ValueError(f"churn must lie in [0, 1], got {churn=}")
    return Partial(_bridge, denoise, schedule, jnp.asarray(churn, float))


def _bridge(denoise: Denoise, schedule: Schedule, churn: Array, key: Key, x_t: Array, t: Scalar, s: Scalar) -> Array:
    key_xi, key_z = jax.random.split(key)
    x_0 = shaped(denoise(key_xi, x_t, jnp.full(x_t.shape[:1], t, float)), x_t.shape, "a denoiser")
    z = standard_normal(key_z, x_t.shape, np.promote_types(x_t.dtype, np.float32))

    def draw(x_0: Array, x_t: Array, z: Array) -> Array:
        mean, std = paths.bridge(schedule, x_0, x_t, t, s, churn=churn)
        return (mean + std * jnp.asarray(z, float)).astype(x_t.dtype)

    return jax.vmap(draw)(x_0, x_t, z)


def euler(denoise: Denoise, schedule: Schedule) -> Step:
    """First order on the probability-flow ODE: x_s = x_t + (s - t) velocity(x_t, t). One call of the denoiser."""
    return flows.euler(flows.velocity(denoise, schedule))


def midpoint(denoise: Denoise, schedule: Schedule) -> Step:
    """Second order: the velocity half way. Two calls of the denoiser."""
    return flows.midpoint(flows.velocity(denoise, schedule))


def heun(denoise: Denoise, schedule: Schedule) -> Step:
    """Second order: the trapezoid of the velocities at both ends. Two calls, one in the step to s = 0.

    That step is Euler's, as in EDM (arXiv 2206.00364, Algorithm 1).
    """
    velocity = flows.velocity(denoise, schedule)
    return Partial(_ending, flows.heun(velocity), flows.euler(velocity))


def rk4(denoise: Denoise, schedule: Schedule) -> Step:
    """Fourth order: the classical method. Four calls, in the step to s = 0 the three of `flows.kutta3`."""
    velocity = flows.velocity(denoise, schedule)
    return Partial(_ending, flows.rk4(velocity), flows.kutta3(velocity))


def _ending(step: Step, last: Step, key: Key, x_t: Array, t: Scalar, s: Scalar) -> Array:
    """`step`, but `last` to s = 0, where the velocity of an x_0 prediction is 0/0 and no stage may stand.

    A single step of order p - 1 has the error, O(h^p), that all the steps of a method of order p have
    together: the order is kept.
    """
    return jax.lax.cond(s > 0, step, last, key, x_t, t, s)


def sample(step: Step, key: Key, x_1: Float[Array, "batch *event"], times: Times) -> Float[Array, "batch *event"]:
    """Apply `step` along `times` (from 1 down to 0, `ddjax.times.grid`), starting at x_1; a key of its own for each step.

    Raises: ValueError for a grid that is not a strictly decreasing vector, where it is concrete, an x_1 that is not
        floating, or a step that returns another shape.
    """
    return _walk(step, key, _state(x_1), decreasing(times), False)[0]


def sample_path(
    step: Step, key: Key, x_1: Float[Array, "batch *event"], times: Times
) -> Float[Array, "steps_plus_1 batch *event"]:
    """As `sample`, with every state kept: index 0 is x_1, the last is x_0."""
    x_1 = _state(x_1)
    return jnp.concatenate([x_1[None], _walk(step, key, x_1, decreasing(times), True)[1]])


def sample_until(step: Step, key: Key, x_1: Float[Array, "batch *event"], times: Times) -> Float[Array, "batch *event"]:
    """As `sample`, along a grid that may repeat its last time: one program for every number of steps up to its length.

    The keys of its steps are those of the shorter grid: the first of more keys are those of fewer.

    Raises: as `sample`, of the grid up to its last time.
    """
    if known(times):
        decreasing(times[: 1 + int((np.asarray(times) > times[-1]).sum())])
    return _walk(Partial(_until, step), key, _state(x_1), jnp.asarray(times, float), False)[0]


def _until(step: Step, key: Key, x_t: Array, t: Scalar, s: Scalar) -> Array:
    return jax.lax.cond(s < t, step, lambda key, x_t, t, s: x_t, key, x_t, t, s)


def _state(x_1: Array) -> Array:
    if x_1.ndim < 1 or not jnp.issubdtype(x_1.dtype, jnp.floating):
        raise ValueError(f"sampling starts at a floating x_1 [batch, *event], got {x_1.shape=}, {x_1.dtype=}")
    return jnp.asarray(x_1)


def decreasing(times: Times) -> Times:
    """The grid. Raises: ValueError where it is concrete and no strictly decreasing vector."""
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
    return _chunks(draw, key, n, min(chunk, n))


@compiled
def _chunks(draw: Callable[[Key, int], Array], key: Key, n: int, chunk: int) -> Array:
    drawn = jax.lax.map(lambda key: draw(key, chunk), jax.random.split(key, -(-n // chunk)))
    return drawn.reshape(-1, *drawn.shape[2:])[:n]
