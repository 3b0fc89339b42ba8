"""Training losses from the objectives of score matching.

    (A)  t_i ~ times,  x_t = alpha x_0 + sigma noise
    (B)  loss = mean_i w(t_i) objective(score(params, ., t_i), x_t_i)

The objective is `explicit`, `implicit` or `sliced` at x_t, or `denoising`, which all have the same minimiser, grad log p_t, and
the same gradient in the mean; they differ in what they cost and how much they vary (docs/score_matching.md). A weight may be
event-shaped, as `weights.variance` is of scales that are: squared errors are then weighed coordinate by coordinate,

    (C)  w(t) objective(score, x_t) = objective(sqrt(w) score(x_t + sqrt(w) y), y = 0)

which for a scalar w is the plain product. A score is
`score(params, key, x_t [batch, *event], t [batch], cond)`, such as `network_score` makes; it is called for single examples,
so its examples must not depend on each other.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ddjax import flows, weights
from ddjax import times as time_laws
from ddjax.flows.likelihood import Divergence
from ddjax.inputs import checked_count, checked_denoiser, checked_function, checked_key, checked_law, checked_weight
from ddjax.schedules import checked_schedule, scales_at
from ddjax.score_matching.noised import TimedScore, denoising
from ddjax.score_matching.plain import Score, explicit, implicit, read, sliced
from ddjax.types import Batch, Key, LossFn, Metrics, Params, Schedule, Velocity, nan_beside, shaped, standard_normal

# objective(score, key, x [n, *event]) -> [n], as `sliced` is one
Objective = Callable[[Score, Key, Array], Array]
# a score of x_t as one of y, eq. (C)
Seen = Callable[[TimedScore], Score]


def data_loss(objective: Objective, score: Callable[[Params, Array], Array]) -> LossFn:
    """The mean of an objective on the data themselves, without noise or time.

    Args:
        objective: (score, key, x [n, *event]) -> [n]: `sliced`, `functools.partial(sliced, probes=4)`,
            `lambda score, key, x: implicit(score, x)`, ...
        score: score(params, x) of one example.
    Returns: loss_fn(params, key, batch); batch is x [batch, *event]. Metrics: loss.
    Raises: the loss, ValueError for a batch that is no such thing, or an objective that returns no value for each example.
    """

    objective = checked_function(objective, "objective", "score", "key", "x")
    score = checked_function(score, "score", "params", "x")

    def loss_fn(params: Params, key: Key, batch: Any) -> tuple[Array, Metrics]:
        x, _ = Batch.of(batch)
        return _mean(objective(partial(score, params), key, x), x)

    return loss_fn


def denoising_loss(
    score: Velocity,
    schedule: Schedule,
    *,
    times: time_laws.Law = time_laws.uniform,
    weight: weights.Weight | None = None,
) -> LossFn:
    """Denoising score matching at all times, eq. (B): the way to train scores.

    Args:
        times: law of t, moved off 0 and 1 by one rounding error of the data (`times.drawn`).
        weight: w(t), per example, in units of the squared score (see `denoising`); None is sigma^2, regression on the noise.
    Returns: loss_fn(params, key, batch); batch is x_0 [batch, *event] or a pair (x_0, cond). Metrics: loss.
    Raises: the loss, ValueError for a batch that is no such thing, or a score that returns another shape.
    """
    weight = weights.variance(checked_schedule(schedule)) if weight is None else checked_weight(weight)

    def value(score: TimedScore, key: Key, x_0: Array, t: Array) -> Array:
        return denoising(score, schedule, key, x_0[None], t[None], weight=weight)[0]

    return _loss(value, score, times)


def explicit_loss(
    score: Velocity,
    truth: TimedScore,
    schedule: Schedule,
    *,
    times: time_laws.Law = time_laws.uniform,
    weight: weights.Weight | None = None,
) -> LossFn:
    """Regression on the true score of x_t, truth(x_t, t) for one example; otherwise as `denoising_loss`."""

    def objective(seen: Seen, score: TimedScore, key: Key, y: Array) -> Array:
        return explicit(seen(score), seen(truth), y)

    return _loss(_noised(objective, schedule, weight), score, times)


def implicit_loss(
    score: Velocity,
    schedule: Schedule,
    *,
    divergence: Divergence = flows.exact_divergence,
    times: time_laws.Law = time_laws.uniform,
    weight: weights.Weight | None = None,
) -> LossFn:
    """Implicit score matching of x_t, with the exact trace or `flows.hutchinson(probes)`; otherwise as `denoising_loss`."""

    def objective(seen: Seen, score: TimedScore, key: Key, y: Array) -> Array:
        return implicit(seen(score), y, key=key, divergence=divergence)

    return _loss(_noised(objective, schedule, weight), score, times)


def sliced_loss(
    score: Velocity,
    schedule: Schedule,
    *,
    probes: int = 1,
    reduced: bool = False,
    times: time_laws.Law = time_laws.uniform,
    weight: weights.Weight | None = None,
) -> LossFn:
    """Sliced score matching of x_t; otherwise as `denoising_loss`. Raises: ValueError for fewer than 1 probe."""
    probes = checked_count(probes, "probes")

    def objective(seen: Seen, score: TimedScore, key: Key, y: Array) -> Array:
        return sliced(seen(score), key, y, probes=probes, reduced=reduced)

    return _loss(_noised(objective, schedule, weight), score, times)


def _noised(
    objective: Callable[[Seen, TimedScore, Key, Array], Array], schedule: Schedule, weight: weights.Weight | None
) -> Callable[[TimedScore, Key, Array, Array], Array]:
    """w(t) objective at x_t, eq. (C), for one example."""
    weight = weights.variance(checked_schedule(schedule)) if weight is None else checked_weight(weight)

    def value(score: TimedScore, key: Key, x_0: Array, t: Array) -> Array:
        key_noise, key_probe = jax.random.split(key)
        alpha, sigma = scales_at(schedule, t)
        x_t = alpha * x_0 + sigma * standard_normal(key_noise, x_0.shape)
        root = jnp.sqrt(weight(t))

        def seen(score: TimedScore) -> Score:
            return lambda y: root * read(score, x_t + root * y, "a score", t)

        return objective(seen, score, key_probe, jnp.zeros_like(x_t)[None])[0]

    return value


def _loss(value: Callable[[TimedScore, Key, Array, Array], Array], score: Velocity, times: time_laws.Law) -> LossFn:
    score, times = checked_denoiser(score, "score"), checked_law(times)

    def loss_fn(params: Params, key: Key, batch: Any) -> tuple[Array, Metrics]:
        x_0, cond = Batch.of(batch)
        key_time, key_score, key_value = jax.random.split(checked_key(key), 3)
        t = time_laws.drawn(times, key_time, x_0)

        def one(key_score: Key, key_value: Key, x_0: Array, t: Array, cond: Any) -> Array:
            alone = jax.tree.map(lambda leaf: leaf[None], cond)

            def at(x: Array, t: Array) -> Array:
                found = score(params, key_score, x[None], t[None], alone)
                return shaped(found, (1, *x.shape), "a score, for a batch of one,")[0]

            return value(at, key_value, x_0, t)

        keys = (jax.random.split(key, x_0.shape[0]) for key in (key_score, key_value))
        return _mean(nan_beside(jax.vmap(one)(*keys, jnp.asarray(x_0, float), t, cond), x_0), x_0)

    return loss_fn


def _mean(each: Array, x: Array) -> tuple[Array, Metrics]:
    loss = jnp.mean(shaped(each, x.shape[:1], "an objective"))
    return loss, {"loss": loss}
