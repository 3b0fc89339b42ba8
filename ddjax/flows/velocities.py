"""Where velocities come from: a network of any prediction kind, or a denoiser.

    (A)  u(x_t, t) = alpha' x_0 + sigma' noise,  with (x_0, noise) read off a prediction and x_t

For the conditional means of x_0 and noise, (A) is the velocity of the probability-flow ODE.
References: Lipman et al., arXiv 2210.02747; Albergo et al., arXiv 2303.08797.
"""

from typing import Any

import jax
from jax.tree_util import Partial
from jaxtyping import Array

from ddjax.inputs import checked_denoise
from ddjax.predictions import Kind, convert, of_network
from ddjax.schedules import checked_schedule
from ddjax.types import Denoise, Field, Key, Network, Schedule, Velocity, shaped


def network_velocity(network: Network, schedule: Schedule, *, predicts: Kind = "velocity") -> Velocity:
    """The velocity, eq. (A), of a network without xi that predicts any kind.

    Only "velocity" is finite at both ends: x_0 says nothing of the noise at t = 0, nor noise of x_0 at alpha = 0.
    """
    return Partial(of_network, Network.of(network), checked_schedule(schedule), predicts, "velocity")


def velocity(denoise: Denoise, schedule: Schedule) -> Field:
    """The field, eq. (A), of a denoiser with its params bound: 0/0, not a number, where sigma = 0."""
    return Partial(_of_denoiser, checked_denoise(denoise), checked_schedule(schedule))


def _of_denoiser(denoise: Denoise, schedule: Schedule, key: Key, x_t: Array, t: Array, *cond: Any) -> Array:
    x_0 = shaped(denoise(key, x_t, t, *cond), x_t.shape, "a denoiser")

    def one(x_t: Array, t: Array, x_0: Array) -> Array:
        return convert(schedule, x_t, t, x_0, source="x0", target="velocity")

    return jax.vmap(one)(x_t, t, x_0)
