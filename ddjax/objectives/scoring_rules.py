"""Scoring-rule losses of denoisers.

    (A)  t_i ~ times,  noise_i ~ N(0, I),  x_t = alpha x_0 + sigma noise
    (B)  xhat_ij = denoiser(x_t, t_i, xi_ij),  j = 1..m
    (C)  loss = mean_i w(t_i) score({xhat_ij}_j, x_0_i)
    (D)  loss = mean_i w(t_i) sum_k p_ik score({xhat_ij}_j, x_0_k),   p_ik ~ p(x_t_i | x_0_k),  k in the group of i

Eq. (D) is the mean of eq. (C) over which example of a group of the batch made x_t_i, given x_t_i and the group: the same loss in
expectation, with less variance (Rao and Blackwell). It helps where several examples may have made x_t: at large times, in few
dimensions. DDM is `score=scoring.Energy(beta, 1)`; iDDM takes `scoring.by_position(rule)` of the rule
`scoring.Energy(beta=lambda t: 2 - 1.9 * t, lam=lambda t: t)`; images gain by `scoring.Patched`; plain x_0 regression is
`scoring.Energy(beta=2, lam=0)` with one draw.
References: De Bortoli et al. (DDM), arXiv 2502.02483, DDM eq. (14) and Algorithm 1; of eq. (D) for score matching, Xu et al.,
"Stable Target Field", arXiv 2302.00670.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ddjax import denoisers, paths, scoring, weights
from ddjax import times as time_laws
from ddjax.inputs import checked_count, checked_denoiser, checked_key, checked_law, checked_rule, checked_weight
from ddjax.schedules import checked_schedule
from ddjax.types import Batch, Denoiser, Key, LossFn, Metrics, Params, Schedule, shaped, standard_normal


def distributional(
    denoiser: Denoiser,
    schedule: Schedule,
    *,
    times: time_laws.Law = time_laws.uniform,
    weight: weights.Weight = weights.uniform,
    score: scoring.Rule = scoring.Energy(),  # noqa: B008 (a frozen value)
    size: int = 8,
    population: Callable[..., Array] = denoisers.population,
    references: int = 1,
) -> LossFn:
    """The scoring-rule loss, eq. (C), DDM eq. (14) and Algorithm 1; or eq. (D).

    Args:
        times: law of t, moved off 0 and 1 by one rounding error of the data (`times.drawn`).
        weight: w(t), per example. score: a rule (samples [m, *event], observation [*event], t) -> Terms, or a scalar array.
        size: population m, at least 2 unless the rule has no interaction (lam = 0).
        population: how the m draws are made: `denoisers.population` for any denoiser, `denoisers.folded_population`
            for the faster one of those made by `denoisers.distributional`.
        references: examples of a group, eq. (D), against all of which each of its x_t is scored; they have no conditions. 1 is
            eq. (C).
    Returns: loss_fn(params, key, batch); batch is x_0 [batch, *event] or a pair (x_0, cond). Metrics: loss, and the
        unweighted means `confinement` and `interaction` where the rule returns `Terms`. All in float32 or better.
    Raises: ValueError for a population too small for the rule; the loss, for a batch that is no such thing, draws of
        another shape, a rule that returns neither, a weight that is no scalar, or, of several references, for conditions or a
        batch that is not so many groups.
    """
    denoiser, schedule = checked_denoiser(denoiser), checked_schedule(schedule)
    times, weight, score = checked_law(times), checked_weight(weight), checked_rule(score)
    size, references = checked_count(size, "size"), checked_count(references, "references")
    if size < 2 and scoring.needs_pairs(score):
        raise ValueError(f"population size must be at least 2 when lam > 0, got {size=} with {score}")

    def loss_fn(params: Params, key: Key, batch: Any) -> tuple[Array, Metrics]:
        x_0, cond = Batch.of(batch)
        key_time, key_noise, key_xi = jax.random.split(checked_key(key), 3)
        t = time_laws.drawn(times, key_time, x_0)
        noise = standard_normal(key_noise, x_0.shape, x_0.dtype)
        x_t = jax.vmap(lambda x_0, noise, t: paths.interpolate(schedule, x_0, noise, t))(x_0, noise, t)
        draws = population(denoiser, params, key_xi, x_t, t, cond, size=size)
        draws = shaped(draws, (x_0.shape[0], size, *x_0.shape[1:]), "a population of draws")
        draws, observed = jnp.asarray(draws, float), jnp.asarray(x_0, float)
        if references == 1:
            terms = jax.vmap(score)(draws, observed, t)
        else:
            _require_groups(references, x_0, cond)
            terms = _over_groups(score, schedule, references, draws, observed, x_t, t)
        has_parts = isinstance(terms, scoring.Terms)
        scores = shaped(terms.score if has_parts else terms, x_0.shape[:1], "a rule, for one example each,")
        loss = jnp.mean(weights.of_examples(weight, t) * jnp.asarray(scores, float))
        parts = {"confinement": terms.confinement.mean(), "interaction": terms.interaction.mean()} if has_parts else {}
        return loss, {"loss": loss, **parts}

    return loss_fn


def _over_groups(
    score: scoring.Rule, schedule: Schedule, references: int, draws: Array, x_0: Array, x_t: Array, t: Array
) -> Any:
    """The mean of the scores of each example over the x_0 of its group, eq. (D)."""

    def one(draws: Array, x_t: Array, t: Array, x_0: Array) -> Any:
        alpha, sigma = schedule(t)
        squared = jax.vmap(lambda x_0: jnp.sum(((x_t - alpha * x_0) / sigma) ** 2))(x_0)
        p = jax.nn.softmax(-squared / 2)
        return jax.tree.map(lambda of_all: p @ of_all, jax.vmap(lambda x_0: score(draws, x_0, t))(x_0))

    groups = jax.tree.map(lambda a: a.reshape(-1, references, *a.shape[1:]), (draws, x_t, t, x_0))
    terms = jax.vmap(jax.vmap(one, (0, 0, 0, None)))(*groups)
    return jax.tree.map(lambda of_groups: of_groups.reshape(-1), terms)


def _require_groups(references: int, x_0: Array, cond: Any) -> None:
    if cond is not None:
        raise ValueError(
            "an x_t may come from another example with its own condition alone: leave references at 1 where data have conditions"
        )
    if len(x_0) % references:
        raise ValueError(f"a batch of {len(x_0)} examples cannot be divided into groups of {references=}")


def denoising(
    denoiser: Denoiser,
    schedule: Schedule,
    *,
    times: time_laws.Law = time_laws.uniform,
    weight: weights.Weight = weights.uniform,
) -> LossFn:
    """Plain regression mean_i w(t_i) ||x_0 - D(x_t, t_i)||^2: the `distributional` loss at beta = 2, lam = 0, one draw."""
    squared_error = scoring.Energy(beta=2.0, lam=0.0)
    return distributional(denoiser, schedule, times=times, weight=weight, score=squared_error, size=1)
