"""Log likelihood of a flow, by the change of variables along it.

    (A)  dx/dt = u(x, t)
    (B)  log p_0(x_0) = log N(x_1; 0, sigma(1)^2) + integral of div u(x(t), t) dt from 0 to 1

The divergence is a function `divergence(u, key, x) -> (u(x), div u(x))` for one example: `exact_divergence`,
d forward derivatives, or `hutchinson(probes)`, unbiased from a few. (B) takes the law of x_1 to be the prior
exactly.
References: Chen et al., arXiv 1806.07366, theorem 1; Grathwohl et al. (Hutchinson), arXiv 1810.01367.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Bool, Float

from ddjax.compiled import compiled
from ddjax.flows.adaptive import require_batch, require_tolerance, slope_of, solve, warn_unless
from ddjax.inputs import checked_count, checked_field, checked_key
from ddjax.schedules import checked_schedule
from ddjax.types import Key, Scalar, Schedule, floating

_FEW = 4
Divergence = Callable[[Callable[[Array], Array], Key, Array], tuple[Array, Array]]


class Likelihood(NamedTuple):
    """log p_0(x_0) in nats, the x_1 that x_0 flows to, and whether the solver met its tolerance."""

    log_prob: Float[Array, " batch"]
    x_1: Float[Array, "batch *event"]
    converged: Bool[Array, " batch"]


def exact_divergence(u: Callable[[Array], Array], key: Key, x: Array) -> tuple[Array, Array]:
    """u(x) and the trace of its Jacobian, by one forward derivative for each of the d coordinates.

    Raises: ValueError for an x of integers.
    """
    x = floating(x, "states")
    value, derivative = jax.linearize(u, x)
    directions = jnp.eye(x.size, dtype=x.dtype).reshape(x.size, *x.shape)
    columns = along(derivative, directions)
    return value, jnp.sum(columns * directions)


def hutchinson(probes: int = 1) -> Divergence:
    """u(x) and an unbiased estimate of the trace, mean_p e_p^T J e_p with e_p of independent signs.

    The probes are those of the key, the same all along a trajectory. Raises: ValueError for fewer than 1 probe.
    """
    return Partial(_hutchinson, checked_count(probes, "probes"))


def _hutchinson(probes: int, u: Callable[[Array], Array], key: Key, x: Array) -> tuple[Array, Array]:
    x = floating(x, "states")
    value, derivative = jax.linearize(u, x)
    signs = jax.random.rademacher(checked_key(key), (probes, *x.shape), x.dtype)
    return value, jnp.sum(signs * along(derivative, signs)) / probes


def along(derivative: Callable[[Array], Array], directions: Float[Array, "n *event"]) -> Float[Array, "n *event"]:
    """A linear map of each direction; a few of them one by one, three times faster under `vmap` and `grad` than all at once
    on a CPU (docs/score_matching.md)."""
    if directions.shape[0] > _FEW:
        return jax.vmap(derivative)(directions)
    return jnp.stack([derivative(direction) for direction in directions])


def log_density(
    field: Callable[..., Array],
    schedule: Schedule,
    key: Key,
    x_0: Float[Array, "batch *event"],
    *,
    cond: Any = None,
    divergence: Divergence = exact_divergence,
    start: Scalar = 0.0,
    tolerance: Scalar = 1e-5,
    max_steps: int = 4096,
) -> Likelihood:
    """Log density of the flow at x_0, eq. (B), by an adaptive solve for each example.

    Args:
        field: differentiable in x; field(key, x, t), or field(key, x, t, cond) where there is a `cond` [batch, ...], as for
            `integrate`.
        start: the time of x_0; above 0 for the field of an x_0-denoiser, which is not a number at 0, and the density is then
            that of x_start.
    Returns: a Likelihood. Where `converged` is False its numbers are NaN; outside jit this warns too.
    Raises: ValueError for a tolerance or max_steps that is not positive and finite, an x_0 of integers, or a cond of another batch.
    """
    x_0 = floating(x_0, "states")
    require_tolerance(tolerance)
    max_steps = checked_count(max_steps, "max_steps")
    require_batch(cond, x_0.shape[0])
    numbers = (jnp.asarray(value, float) for value in (start, tolerance))
    field, schedule = checked_field(field, cond), checked_schedule(schedule)
    likelihood = _log_density(field, schedule, checked_key(key), x_0, cond, divergence, *numbers, max_steps)
    warn_unless(likelihood.converged)
    return likelihood


@compiled
def _log_density(
    field: Callable[..., Array],
    schedule: Schedule,
    key: Key,
    x_0: Array,
    cond: Any,
    divergence: Divergence,
    start: Array,
    tolerance: Array,
    max_steps: int,
) -> Likelihood:
    def one(key: Key, x: Array, cond: Any) -> Likelihood:
        flow = slope_of(field, cond, x_0.dtype)

        def slope(key: Key, t: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
            key_field, key_probe = jax.random.split(key)
            return divergence(lambda x: flow(key_field, t, x), key_probe, state[0])

        options = {"start": start, "end": 1.0, "tolerance": tolerance, "max_steps": max_steps}
        (x_1, gain), _, converged = solve(slope, key, (x, jnp.zeros((), x.dtype)), **options)
        prior = jax.scipy.stats.norm.logpdf(x_1, scale=schedule(1.0).sigma)
        return Likelihood(jnp.sum(prior) + gain, x_1.astype(x_0.dtype), converged)

    return jax.vmap(one)(jax.random.split(key, x_0.shape[0]), jnp.asarray(x_0, float), cond)
