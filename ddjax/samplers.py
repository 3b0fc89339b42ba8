"""Samplers: kernels `step(key, x_t, t, s) -> x_s`, and one `lax.scan` over a grid of times that applies them.

A kernel takes a batch x_t [batch, *event] at one time t and brings it to s < t. `denoise(key, x_t, t) -> x_0`
is a denoiser with its parameters bound (`denoisers.bind`). The kernels on the probability-flow ODE are those
of `flows` on the denoiser's velocity; a network that predicts velocities takes them from there,
`flows.heun(field)`, and needs no detour through x_0.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ddjax import flows, paths
from ddjax.types import Denoise, Key, Scalar, Schedule, Step, known

Times = Float[Array | np.ndarray, " steps_plus_1"]


def bridge(denoise: Denoise, schedule: Schedule, *, churn: Scalar = 1.0) -> Step:
    """Draw x_0, then x_s from the bridge between x_0 and x_t, with xi and z from separate keys.

    Args:
        churn: in [0, 1]; 0 is DDIM, 1 DDPM. Exact at every number of steps when `denoise` draws from the true
        posterior.
    Raises: ValueError for a churn outside [0, 1].
    References: De Bortoli et al., arXiv 2502.02483, Algorithm 2.
    """
    if known(churn) and not 0 <= churn <= 1:
        raise ValueError(f"churn must lie in [0, 1], got {churn=}")

    def bridge_step(key: Key, x_t: Array, t: Scalar, s: Scalar) -> Array:
        key_xi, key_z = jax.random.split(key)
        x_0 = denoise(key_xi, x_t, _times(x_t, t))
        z = jax.random.normal(key_z, x_t.shape, x_t.dtype)

        def draw(x_0: Array, x_t: Array, z: Array) -> Array:
            mean, std = paths.bridge(schedule, x_0, x_t, t, s, churn=churn)
            return mean + std * z

        return jax.vmap(draw)(x_0, x_t, z)

    return bridge_step


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
    return _ending(flows.heun(velocity), flows.euler(velocity))


def rk4(denoise: Denoise, schedule: Schedule) -> Step:
    """Fourth order: the classical method. Four calls, in the step to s = 0 the three of `flows.kutta3`."""
    velocity = flows.velocity(denoise, schedule)
    return _ending(flows.rk4(velocity), flows.kutta3(velocity))


def _ending(step: Step, last: Step) -> Step:
    """`step`, but `last` to s = 0, where the velocity of an x_0 prediction is 0/0 and no stage may stand.

    A single step of order p - 1 has the error, O(h^p), that all the steps of a method of order p have
    together: the order is kept.
    """

    def step_or_last(key: Key, x_t: Array, t: Scalar, s: Scalar) -> Array:
        return jax.lax.cond(s > 0, step, last, key, x_t, t, s)

    return step_or_last


def _times(x: Array, t: Scalar) -> Array:
    return jnp.full(x.shape[:1], t, x.dtype)


def sample(step: Step, key: Key, x_1: Float[Array, "batch *event"], times: Times) -> Float[Array, "batch *event"]:
    """Apply `step` along `times` (from 1 down to 0, `ddjax.times.grid`), starting at x_1; a key of its own for each step.

    Raises: ValueError for a grid that is not a strictly decreasing vector, where it is concrete.
    """
    return _scan(step, key, x_1, times, lambda x: None)[0]


def sample_path(
    step: Step, key: Key, x_1: Float[Array, "batch *event"], times: Times
) -> Float[Array, "steps_plus_1 batch *event"]:
    """As `sample`, with every state kept: index 0 is x_1, the last is x_0."""
    return jnp.concatenate([x_1[None], _scan(step, key, x_1, times, lambda x: x)[1]])


def _scan(step: Step, key: Key, x_1: Array, times: Times, keep: Callable[[Array], Array | None]):
    if times.ndim != 1 or times.shape[0] < 2:
        raise ValueError(f"a grid is a vector of at least 2 times, got {times.shape=}")
    if known(times) and not (np.diff(times) < 0).all():
        raise ValueError(f"a grid must be strictly decreasing from noise (1) to data (0), got {times=}")
    times = jnp.asarray(times, float)

    def body(x_t: Array, inputs: tuple[Key, Array, Array]):
        x_s = step(inputs[0], x_t, inputs[1], inputs[2])
        return x_s, keep(x_s)

    return jax.lax.scan(body, x_1, (jax.random.split(key, times.shape[0] - 1), times[:-1], times[1:]))


def in_chunks(draw: Callable[[Key, int], Array], key: Key, n: int, *, chunk: int) -> Float[Array, "n *event"]:
    """n draws as a loop over `draw(key, chunk)` on the device, so that memory is that of one chunk.

    Raises: ValueError for n or chunk below 1.
    """
    if n < 1 or chunk < 1:
        raise ValueError(f"n and chunk must be at least 1, got {n=}, {chunk=}")
    chunk = min(chunk, n)
    keys = jax.random.split(key, -(-n // chunk))
    drawn = jax.lax.map(lambda key: draw(key, chunk), keys)
    return drawn.reshape(-1, *drawn.shape[2:])[:n]
