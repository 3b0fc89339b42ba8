"""Average velocities, u(x_t, t, r) = (x_t - x_r) / (t - r) between two times of a flow: steps of any length.

    (A)  u(x_t, t, r) = mean over [r, t] of the velocity along the flow through x_t;   u(x_t, t, t) is the velocity
    (B)  x_r = x_t - (t - r) u(x_t, t, r)

References: Geng et al. (MeanFlow), arXiv 2505.13447, MeanFlow eq. (3) and MeanFlow eq. (12).
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float

from ddjax.inputs import checked_average
from ddjax.types import Key, Network, Params, Scalar, Step, floating, shaped

# average(params, key, x_t[batch, *event], t[batch], r[batch], cond) -> [batch, *event]
AverageVelocity = Callable[[Params, Key, Array, Array, Array, Any], Array]


def average_velocity(network: Network) -> AverageVelocity:
    """An average velocity from a network whose condition is a vector that begins with t - r, before those of the user.

    For instance `networks.mlp(d, cond_size=1 + c, inject=None, time=networks.raw_time)`. The derivative along time in
    `objectives.mean_flow` wants both times raw: fast features make it large.

    Raises: when called, ValueError for a network that returns another shape, or a condition that is no vector of each example.
    """
    return Partial(_average, Network.of(network))


def _average(
    network: Network,
    params: Params,
    key: Key,
    x_t: Float[Array, "batch *event"],
    t: Float[Array, " batch"],
    r: Float[Array, " batch"],
    cond: Any = None,
) -> Float[Array, "batch *event"]:
    span = (t - r).astype(floating(x_t, "states").dtype)[:, None]
    if cond is not None and (cond.ndim != 2 or cond.shape[0] != x_t.shape[0]):
        raise ValueError(f"beside a second time a condition is [batch, c], got {cond.shape=} with {x_t.shape=}")
    both = span if cond is None else jnp.concatenate([span, cond.astype(x_t.dtype)], -1)
    return shaped(network.apply(params, x_t, t, both, None), x_t.shape, "a network")


def jump(average: AverageVelocity, params: Params, cond: Any = None) -> Step:
    """A step of `samplers.sample` along an average velocity, eq. (B): one call, exact for every length where u is.

    Raises: the step, ValueError for an x_t of integers, or an average velocity of another shape.
    """
    return Partial(_jump, checked_average(average), params, cond)


def _jump(average: AverageVelocity, params: Params, cond: Any, key: Key, x_t: Array, t: Scalar, s: Scalar) -> Array:
    x_t = floating(x_t, "states")
    t, s = (jnp.full(x_t.shape[:1], time, float) for time in (t, s))
    u = shaped(average(params, key, x_t, t, s, cond), x_t.shape, "an average velocity")
    span = (t - s).reshape(-1, *[1] * (x_t.ndim - 1))
    return (jnp.asarray(x_t, float) - span * jnp.asarray(u, float)).astype(x_t.dtype)
