"""Conditioning on one measurement with the batch as particles of a sequential Monte Carlo method.

`conditioning.conditioned` chooses among M draws of each example alone, whose error of order 1 / M adds up over the steps. Here the
whole batch pursues one posterior, and what M draws miss is corrected by weights between the examples: exact for every M as the
batch grows. With w_j = p(y | x_0^j) for draws x_0^1..M of p(x_0 | x_t), and N_j the density of the bridge from (x_0^j, x_t) to x_s,

    (A)  Z(x_t) = mean_j w_j                                          an unbiased estimate of p(y | x_t), up to a constant
    (B)  x_s ~ sum_j w_j N_j / sum_j w_j                              one draw kept, and the bridge from it
    (C)  weight of x_s = Z(x_s) mean_j N_j(x_s) / mean_j w_j N_j(x_s)

Eq. (C) is target over proposal on the space of x_t and all its draws, where mean_j N_j is unbiased for p(x_s | x_t).
References: Chopin and Papaspiliopoulos, An Introduction to Sequential Monte Carlo (2020), chapters 9 and 10; Wu et al.,
arXiv 2306.17775, twist a mean denoiser by its gradients.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float

from ddjax import paths
from ddjax.compiled import compiled
from ddjax.inputs import checked_count, checked_denoise, checked_key, checked_likelihood
from ddjax.samplers.conditioning import LogLikelihood, effective_size, picked, weighed
from ddjax.samplers.walks import Times, decreasing
from ddjax.schedules import checked_schedule
from ddjax.types import Denoise, Key, Scalar, Schedule, floating, known, nan_beside, standard_normal


class Particles(NamedTuple):
    """Samples of p(x_0 | y), and the effective size of the batch, between 1 and its length, at each step."""

    x_0: Float[Array, "batch *event"]
    effective: Float[Array, " steps"]


def particles(
    denoise: Denoise,
    log_likelihood: LogLikelihood,
    schedule: Schedule,
    key: Key,
    x_1: Float[Array, "batch *event"],
    times: Times,
    *,
    draws: int = 16,
    churn: Scalar = 1.0,
) -> Particles:
    """Samples of x_0 given y by eq. (A)-(C), resampled systematically at each step: copies of one another where weights differ.

    Args:
        log_likelihood: of one event, `log_likelihood(x_0) -> scalar`, the same for all. x_1: as for `samplers.sample`.
        draws: M of each particle. churn: in (0, 1]; the bridge must have a density.
    Raises: ValueError for draws < 1, a churn outside (0, 1], an x_1 of integers, a grid that does not decrease, or a log-likelihood
        that is no scalar. One particle that is not finite makes all NaN.
    """
    draws = checked_count(draws, "draws")
    if known(churn) and not 0 < np.asarray(churn) <= 1:
        raise ValueError(f"particles need a bridge with noise, churn in (0, 1], got {churn=}")
    step = Partial(_step, checked_denoise(denoise), checked_likelihood(log_likelihood), checked_schedule(schedule))
    x_1 = floating(x_1, "states")
    return _walk(step, checked_key(key), x_1, decreasing(times), draws, jnp.asarray(churn, float))


@compiled
def _walk(step: Partial, key: Key, x_1: Array, times: Array, draws: int, churn: Array) -> Particles:
    def body(state: tuple[Array, Array], inputs: tuple[Key, Array, Array]) -> tuple[tuple[Array, Array], Array]:
        return step(*state, *inputs, draws, churn)

    keys = jax.random.split(key, times.shape[0] - 1)
    correction = nan_beside(jnp.zeros(x_1.shape[:1]), x_1)  # else an infinite particle would die out unseen
    (x_0, _), effective = jax.lax.scan(body, (x_1, correction), (keys, times[:-1], times[1:]))
    return Particles(x_0, effective)


def _step(
    denoise: Denoise, log_likelihood: LogLikelihood, schedule: Schedule,
    x_t: Array, correction: Array, key: Key, t: Array, s: Array, draws: int, churn: Array,
) -> tuple[tuple[Array, Array], Array]:  # fmt: skip
    key_xi, key_resample, key_keep, key_z = jax.random.split(key, 4)
    x_0, log_w = weighed(denoise, log_likelihood, key_xi, x_t, jnp.full(x_t.shape[:1], t), draws=draws)
    log_weights = jax.nn.logsumexp(log_w, 0) + correction  # eq. (C), the last factor from the step before
    parents = systematic(key_resample, log_weights)
    x_t, x_0, log_w = x_t[parents], x_0[:, parents], log_w[:, parents]
    kept = picked(key_keep, x_0, log_w)
    z = standard_normal(key_z, x_t.shape)

    def ahead(x_0: Array, x_t: Array, kept: Array, z: Array) -> tuple[Array, Array]:
        mean, std = paths.bridge(schedule, kept, x_t, t, s, churn=churn)
        x_s = mean + std * z
        means = jax.vmap(lambda x_0: paths.bridge(schedule, x_0, x_t, t, s, churn=churn)[0])(x_0)
        width = jnp.where(std > 0, std, 1.0)  # at s = 0 nothing follows that would need a density
        log_n = jax.vmap(lambda mean: -jnp.sum(((x_s - mean) / width) ** 2) / 2)(means)
        return x_s.astype(x_t.dtype), log_n

    x_s, log_n = jax.vmap(ahead, (1, 0, 0, 0), (0, 1))(x_0, x_t, kept, z)
    correction = jax.nn.logsumexp(log_n, 0) - jax.nn.logsumexp(log_w + log_n, 0)
    sound = jnp.isfinite(jax.nn.logsumexp(log_weights))  # a sum: the maximum of thousands drops NaN on a CPU
    return (jnp.where(sound, x_s, jnp.nan), correction), effective_size(log_weights)


def systematic(key: Key, log_weights: Float[Array, " n"]) -> Array:
    """Indices [n], each i as often as n times its share of the weights, up to rounding by one uniform number."""
    n = log_weights.shape[0]
    shares = jnp.cumsum(jax.nn.softmax(log_weights))
    at = (jnp.arange(n, dtype=shares.dtype) + jax.random.uniform(key, (), shares.dtype)) / n
    return jnp.minimum(jnp.searchsorted(shares, at), n - 1)
