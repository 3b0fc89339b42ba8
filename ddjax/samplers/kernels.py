"""Kernels `step(key, x_t, t, s) -> x_s`: a batch x_t [batch, *event] at one time t comes to s < t.

`denoise(key, x_t, t) -> x_0` is a denoiser with its parameters bound (`denoisers.bind`). The kernels on the probability-flow ODE
are those of `flows` on the denoiser's velocity; a network that predicts velocities takes them from there, `flows.heun(field)`,
and needs no detour through x_0.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array

from ddjax import flows, paths
from ddjax.inputs import checked_denoise, checked_key
from ddjax.schedules import checked_schedule
from ddjax.types import Denoise, Key, Scalar, Schedule, Step, floating, known, shaped, standard_normal


def bridge(denoise: Denoise, schedule: Schedule, *, churn: Scalar = 1.0) -> Step:
    """A step of DDM Algorithm 2: draw x_0, then x_s from the bridge, DDM eq. (4), with xi and z from separate keys.

    Args:
        churn: in [0, 1]; 0 is DDIM, 1 DDPM. Exact at every number of steps when `denoise` draws from the true
        posterior.
    Raises: ValueError for a churn outside [0, 1].
    References: De Bortoli et al. (DDM), arXiv 2502.02483, Algorithm 2; the loop over a grid is `samplers.sample`.
    """
    if known(churn) and not 0 <= np.asarray(churn) <= 1:
        raise ValueError(f"churn must lie in [0, 1], got {churn=}")
    return Partial(_bridge, checked_denoise(denoise), checked_schedule(schedule), jnp.asarray(churn, float))


def _bridge(denoise: Denoise, schedule: Schedule, churn: Array, key: Key, x_t: Array, t: Scalar, s: Scalar) -> Array:
    key_xi, key_z = jax.random.split(checked_key(key))
    x_0 = _x_0(denoise, key_xi, x_t, t)
    z = standard_normal(key_z, x_t.shape, np.promote_types(x_t.dtype, np.float32))

    def draw(x_0: Array, x_t: Array, z: Array) -> Array:
        mean, std = paths.bridge(schedule, x_0, x_t, t, s, churn=churn)
        return (mean + std * jnp.asarray(z, float)).astype(x_t.dtype)

    return jax.vmap(draw)(x_0, x_t, z)


def renoise(denoise: Denoise, schedule: Schedule) -> Step:
    """Draw x_0, then x_s = alpha_s x_0 + sigma_s z with fresh noise: the bridge with kappa = 0 (1 is DDIM, r DDPM).

    Exact at every number of steps when `denoise` draws from the true posterior, as `bridge` is. With a consistency model for a
    denoiser it is multistep consistency sampling. References: Song et al., arXiv 2303.01469, Algorithm 1.
    """
    return Partial(_renoise, checked_denoise(denoise), checked_schedule(schedule))


def _renoise(denoise: Denoise, schedule: Schedule, key: Key, x_t: Array, t: Scalar, s: Scalar) -> Array:
    key_xi, key_z = jax.random.split(checked_key(key))
    x_0 = _x_0(denoise, key_xi, x_t, t)
    z = standard_normal(key_z, x_t.shape, x_t.dtype)
    return jax.vmap(lambda x_0, z: paths.interpolate(schedule, x_0, z, s))(x_0, z)


def _x_0(denoise: Denoise, key: Key, x_t: Array, t: Scalar) -> Array:
    floating(x_t, "states")
    return shaped(denoise(key, x_t, jnp.full(x_t.shape[:1], t, float)), x_t.shape, "a denoiser")


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
    # functions of this call: JAX keeps the branches of a cond by identity, and what a user's function reads may have changed
    return jax.lax.cond(s > 0, lambda *args: step(*args), lambda *args: last(*args), key, x_t, t, s)
