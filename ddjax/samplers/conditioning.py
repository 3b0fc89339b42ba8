"""Conditioning on a measurement y by draws: no gradient, no guidance scale, and exact as the draws grow in number.

    (A)  p(x_0 | x_t, y) ~ p(x_0 | x_t) p(y | x_0)
    (B)  x_0^j ~ p(x_0 | x_t),  w_j = p(y | x_0^j),  j = 1..M;   keep x_0^j with probability w_j / sum w
    (C)  effective size = (sum w)^2 / sum w^2

Eq. (A) is Bayes' rule: given x_0, the noise of x_t knows nothing of y. With draws from the true posterior, eq. (B) before each
bridge therefore samples p(x_0 | y), whatever the number of steps. Eq. (C) lies between 1 and M and tells whether M suffices; it is
smallest at the first step, where x_t says least.

A log-likelihood is written for ONE event, `log_likelihood(x_0) -> scalar` up to a constant, or `log_likelihood(x_0, y)` where every
example has a measurement of its own; -inf says that an x_0 is impossible. One that is NaN or +inf makes its example NaN, and so
does a y that no draw allows.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float

from ddjax.compiled import compiled
from ddjax.inputs import checked_array, checked_count, checked_denoise, checked_key, checked_likelihood
from ddjax.schedules import checked_schedule
from ddjax.types import Denoise, Key, Scalar, Schedule, floating, known, nan_beside, shaped

LogLikelihood = Callable[..., Float[Array, ""]]


def conditioned(
    denoise: Denoise,
    log_likelihood: LogLikelihood,
    *,
    draws: int = 64,
    least: Scalar = 1.0,
    most: int = 4096,
    y: Any = None,
) -> Denoise:
    """A denoiser given y, eq. (B), for `samplers.bridge`; it needs draws of x_0, and a mean has only one.

    Args:
        draws: M of one round, whose events are in memory together. least: effective size, eq. (C), that every example shall
            reach; as long as one does not, there are further rounds, up to `most` draws. 1 is one round, unless no draw in it is
            allowed.
        y: measurements [batch, ...], any pytree, of a log-likelihood of two arguments.
    Raises: ValueError for draws < 1, least < 1, or most < draws; the denoiser, for a log-likelihood that is no scalar.
    """
    draws = checked_count(draws, "draws")
    if known(least) and not 1 <= np.asarray(least) < np.inf:
        raise ValueError(f"an effective size is finite and at least 1, got {least=}")
    if checked_count(most, "most") < draws:
        raise ValueError(f"need room for one round, got {most=} with {draws=}")
    denoise, log_likelihood = checked_denoise(denoise), checked_likelihood(log_likelihood, y)
    return Partial(_conditioned, denoise, log_likelihood, draws, jnp.asarray(least, float), most, y)


@compiled
def _conditioned(
    denoise: Denoise, log_likelihood: LogLikelihood, draws: int, least: Array, most: int, y: Any,
    key: Key, x_t: Array, t: Array, *cond: Any,
) -> Array:  # fmt: skip
    """Rounds of M draws; the one kept so far gives way to that of a new round in proportion to their sums of weights."""

    def unfinished(state: tuple) -> Array:
        made, _, _, sums, squares = state
        return (made == 0) | ((made + draws <= most) & jnp.any(_effective(sums, squares) < least))

    def one_round(state: tuple) -> tuple:
        made, key, kept, sums, squares = state
        key, key_xi, key_keep, key_replace = jax.random.split(key, 4)
        x_0, log_w = weighed(denoise, log_likelihood, key_xi, x_t, t, *cond, draws=draws, y=y)
        new_sums = jnp.logaddexp(sums, jax.nn.logsumexp(log_w, 0))
        replaced = jnp.log(jax.random.uniform(key_replace, sums.shape)) >= sums - new_sums
        kept = jnp.where(_beside(replaced, kept), picked(key_keep, x_0, log_w).astype(kept.dtype), kept)
        return made + draws, key, kept, new_sums, jnp.logaddexp(squares, jax.nn.logsumexp(2 * log_w, 0))

    floating(x_t, "states")
    nothing = jnp.full(x_t.shape[:1], -jnp.inf)
    state = (jnp.zeros((), int), checked_key(key), jnp.zeros_like(x_t), nothing, nothing)
    *_, kept, sums, _ = jax.lax.while_loop(unfinished, one_round, state)
    return jnp.where(_beside(jnp.isfinite(sums), kept), kept, jnp.nan).astype(x_t.dtype)


def effective_draws(
    denoise: Denoise,
    log_likelihood: LogLikelihood,
    key: Key,
    x_t: Float[Array, "batch *event"],
    t: Float[Array, " batch"],
    *cond: Any,
    draws: int = 64,
    y: Any = None,
) -> Float[Array, " batch"]:
    """The effective size, eq. (C), of that many draws at each x_t: `draws` for a flat likelihood, 0 where no draw is allowed.

    Raises: ValueError for draws < 1, or a log-likelihood that is no scalar.
    """
    draws = checked_count(draws, "draws")
    denoise, log_likelihood = checked_denoise(denoise), checked_likelihood(log_likelihood, y)
    x_t, t = checked_array(x_t, "x_t [batch, *event]"), checked_array(t, "times [batch]")
    return _effective_draws(denoise, log_likelihood, draws, y, checked_key(key), x_t, t, *cond)


@compiled
def _effective_draws(
    denoise: Denoise, log_likelihood: LogLikelihood, draws: int, y: Any, key: Key, x_t: Array, t: Array, *cond: Any
) -> Array:
    log_w = weighed(denoise, log_likelihood, key, x_t, t, *cond, draws=draws, y=y)[1]
    return nan_beside(effective_size(log_w), x_t)  # not 0, as if no draw were allowed


def plugged_in(
    denoise: Denoise, log_likelihood: LogLikelihood, schedule: Schedule, *, scale: Scalar = 1.0, y: Any = None
) -> Denoise:
    """The mean given y as diffusion posterior sampling has it, D + scale sigma^2 / alpha grad_x_t log p(y | D(x_t, t)).

    It puts the posterior mean D where the posterior should stand, and so is exact for no law but a point; `conditioned` is
    what it is judged against. At alpha = 0, where that is 0/0, alpha is taken for .001.

    Raises: the denoiser, ValueError for a log-likelihood that is no scalar.
    References: Chung et al. (DPS), arXiv 2209.14687, DPS eq. (16), without their normalisation of the step.
    """
    denoise, log_likelihood = checked_denoise(denoise), checked_likelihood(log_likelihood, y)
    return Partial(_plugged_in, denoise, log_likelihood, checked_schedule(schedule), jnp.asarray(scale, float), y)


def _plugged_in(
    denoise: Denoise, log_likelihood: LogLikelihood, schedule: Schedule, scale: Array, y: Any,
    key: Key, x_t: Array, t: Array, *cond: Any,
) -> Array:  # fmt: skip
    def total(x_t: Array) -> tuple[Array, Array]:
        mean = denoise(key, x_t, t, *cond)
        return jnp.sum(_logs(log_likelihood, mean, y)), mean

    gradient, mean = jax.grad(total, has_aux=True)(floating(x_t, "states"))

    def moved(mean: Array, gradient: Array, t: Array) -> Array:
        alpha, sigma = schedule(t)
        return mean + (scale * sigma**2 / jnp.maximum(alpha, 1e-3) * gradient).astype(mean.dtype)

    return jax.vmap(moved)(mean, gradient, t)


def weighed(
    denoise: Denoise,
    log_likelihood: LogLikelihood,
    key: Key,
    x_t: Array,
    t: Array,
    *cond: Any,
    draws: int,
    y: Any = None,
) -> tuple[Float[Array, "draws batch *event"], Float[Array, "draws batch"]]:
    """Draws of x_0 given x_t, and the logarithms of their weights, eq. (B)."""
    x_0 = jax.vmap(lambda key: shaped(denoise(key, x_t, t, *cond), x_t.shape, "a denoiser"))(
        jax.random.split(key, draws)
    )
    return x_0, jax.vmap(lambda x_0: _logs(log_likelihood, x_0, y))(x_0)


def picked(
    key: Key, x_0: Float[Array, "draws batch *event"], log_w: Float[Array, "draws batch"]
) -> Float[Array, "batch *event"]:
    """One draw for each example, with probability in proportion to its weight."""
    chosen = jax.random.categorical(key, log_w, axis=0)
    return jax.vmap(lambda x_0, j: x_0[j], (1, 0))(x_0, chosen)


def effective_size(log_w: Float[Array, "draws *batch"]) -> Float[Array, "*batch"]:
    """Eq. (C) over the first axis, from logarithms of weights; 0 where all weights are 0, NaN where one is not a number."""
    log_w = jnp.asarray(checked_array(log_w, "logarithms of weights [draws, *batch]"))
    top = jnp.max(log_w, 0, keepdims=True)  # else both logarithms would be large, and their difference rounded
    log_w = log_w - jnp.where(jnp.isneginf(top), 0.0, top)
    return _effective(jax.nn.logsumexp(log_w, 0), jax.nn.logsumexp(2 * log_w, 0))


def _effective(log_sum: Array, log_squares: Array) -> Array:
    return jnp.where(jnp.isneginf(log_sum), 0.0, jnp.exp(2 * log_sum - log_squares))


def _logs(log_likelihood: LogLikelihood, x_0: Array, y: Any) -> Array:
    def one(x_0: Array, *y: Any) -> Array:
        return jnp.asarray(shaped(log_likelihood(x_0, *y), (), "a log-likelihood of one event"), float)

    return jax.vmap(one)(x_0) if y is None else jax.vmap(one)(x_0, y)


def _beside(per_example: Array, x: Array) -> Array:
    return per_example.reshape(-1, *[1] * (x.ndim - 1))
