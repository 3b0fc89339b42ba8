"""Flows: velocities dx/dt = u(x, t), and what one does with them.

A velocity has the signature of a denoiser, `velocity(params, key, x_t, t, cond) -> dx/dt`, so
`denoisers.bind` and `denoisers.guided` act on it unchanged: guidance mixes two velocities as it mixes two
x_0, because one is an affine function of the other. With params and cond bound it is a field, `field(key,
x_t, t) -> dx/dt`.
"""

from ddjax.flows.adaptive import Solution, integrate
from ddjax.flows.averages import AverageVelocity, average_velocity, jump
from ddjax.flows.geometry import path_length, straightness
from ddjax.flows.likelihood import Likelihood, exact_divergence, hutchinson, log_density
from ddjax.flows.runge_kutta import euler, heun, kutta3, midpoint, rk4
from ddjax.flows.velocities import network_velocity, velocity

__all__ = [
    "AverageVelocity", "Likelihood", "Solution", "average_velocity", "euler", "exact_divergence", "heun", "hutchinson",
    "integrate", "jump", "kutta3", "log_density", "midpoint", "network_velocity", "path_length", "rk4", "straightness", "velocity",
]  # fmt: skip
