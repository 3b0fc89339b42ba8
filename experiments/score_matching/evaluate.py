"""What the objectives of score matching are worth, on a target whose score is known.

(1)  bias = E objective - (E 1/2 |s - s*|^2 - c),   c = E 1/2 |s*|^2 for implicit and sliced,
     c = E 1/2 |s*|^2 - d / (2 sigma^2) for denoising, 0 for explicit
(2)  score error = E|s - s*|^2 / E|s*|^2 at x_t ~ p_t
"""

import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from ddjax import flows, networks, schedules, score_matching, targets, training, weights
from ddjax import times as time_laws
from ddjax.training.state import require_finite
from ddjax.types import Key, LossFn

SCHEDULE = schedules.VariancePreserving()
LEVELS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.95)
LEVEL, WRONG_LEVEL = 0.2, 0.3  # estimates are at the first, for the score that belongs to the second
_DATA_STD = 1.5  # of an element of the target, about


def clipped(key: Key, n: int) -> Array:
    """Uniform times above .01: below, g^2 / sigma^2 has no end."""
    return 0.01 + 0.99 * time_laws.uniform(key, n)


def lognormal(key: Key, n: int) -> Array:
    """EDM's own noise levels: log(sigma / alpha) ~ N(-1.2, 1.2^2) in units of twice the data's standard deviation.

    References: Karras et al., arXiv 2206.00364, table 1.
    """
    grid = jnp.linspace(1e-4, 1.0, 2048)
    levels = -jax.vmap(partial(schedules.logsnr, SCHEDULE))(grid) / 2
    drawn = jnp.log(2 * _DATA_STD) - 1.2 + 1.2 * jax.random.normal(key, (n,))
    return jnp.clip(jnp.interp(drawn, levels, grid), 0.01, 1.0)


def _denoising(weight: weights.Weight | None, times: time_laws.Law = clipped) -> Callable[[Any], LossFn]:
    return lambda score: score_matching.denoising_loss(score, SCHEDULE, times=times, weight=weight)


def _exact(x: Array, t: Array) -> Array:
    return targets.skewed().score(SCHEDULE, x, t)


_EDM = weights.on_scores(SCHEDULE, weights.edm(SCHEDULE, data_std=_DATA_STD))
_SIGMOID = weights.on_scores(SCHEDULE, weights.sigmoid(SCHEDULE))

# name -> a batched score (params, key, x_t, t, cond) -> its loss
OBJECTIVES: dict[str, Callable[[Any], LossFn]] = {
    "explicit": lambda score: score_matching.explicit_loss(score, _exact, SCHEDULE, times=clipped),
    "implicit, exact trace": lambda score: score_matching.implicit_loss(score, SCHEDULE, times=clipped),
    "implicit, Hutchinson (= sliced, reduced)": lambda score: score_matching.implicit_loss(
        score, SCHEDULE, times=clipped, divergence=flows.hutchinson()
    ),
    "sliced": lambda score: score_matching.sliced_loss(score, SCHEDULE, times=clipped),
    "denoising, sigma²": _denoising(None),
    "denoising, g²": _denoising(weights.likelihood(SCHEDULE)),
    "denoising, EDM": _denoising(_EDM, lognormal),
    "denoising, sigmoid": _denoising(_SIGMOID),
}

# the same at one level for a score of one example: (score, key, x_0 [n, d], x_t [n, d]) -> [n]
_AT_ONE_LEVEL: dict[str, Callable[..., Array]] = {
    "explicit": lambda score, key, x_0, x_t: score_matching.explicit(score, lambda x: _exact(x, LEVEL), x_t),
    "implicit, exact trace": lambda score, key, x_0, x_t: score_matching.implicit(score, x_t),
    "implicit, Hutchinson (= sliced, reduced)": lambda score, key, x_0, x_t: score_matching.implicit(
        score, x_t, key=key, divergence=flows.hutchinson()
    ),
    "sliced": lambda score, key, x_0, x_t: score_matching.sliced(score, key, x_t),
    "denoising, sigma²": lambda score, key, x_0, x_t: score_matching.denoising(
        lambda x, t: score(x), SCHEDULE, key, x_0, LEVEL
    ),
}


class Estimate(NamedTuple):
    """An objective at one noise level: eq. (1) with its standard error, and standard deviations over single examples of
    its value and of its derivative along the score, d/da objective(a s) at a = 1."""

    bias: float
    error: float
    std: float
    slope: float
    slope_std: float


def estimates(n: int) -> dict[str, Estimate]:
    """Of every objective, from n examples each, against exact values from 8 n."""
    mixture = targets.skewed()
    sigma = float(SCHEDULE(LEVEL).sigma)
    marginal = mixture.diffuse(SCHEDULE, LEVEL)
    key_exact, *keys = jax.random.split(jax.random.key(2026), 1 + len(_AT_ONE_LEVEL))

    def wrong(x: Array) -> Array:
        return _exact(x, jnp.asarray(WRONG_LEVEL))

    @jax.jit
    def exact(key: Key) -> tuple[Array, Array]:
        x = marginal.sample(key, n)
        truth = jax.vmap(lambda x: _exact(x, LEVEL))(x)
        return jnp.sum((jax.vmap(wrong)(x) - truth) ** 2, 1) / 2, jnp.sum(truth**2, 1) / 2

    parts = [exact(key) for key in jax.random.split(key_exact, 8)]
    off, truth = (np.concatenate([np.asarray(part[i], np.float64) for part in parts]) for i in (0, 1))
    found = {}
    for (name, objective), key in zip(_AT_ONE_LEVEL.items(), keys, strict=True):

        @jax.jit
        def value_and_slope(key: Key, objective: Callable[..., Array] = objective) -> tuple[Array, Array]:
            key_x, key_t, key_objective = jax.random.split(key, 3)
            x_0, x_t = mixture.sample(key_x, n), marginal.sample(key_t, n)
            along = lambda a: objective(lambda x: a * wrong(x), key_objective, x_0, x_t)  # noqa: E731
            return jax.jvp(along, (jnp.ones(()),), (jnp.ones(()),))

        value, slope = (np.asarray(part, np.float64) for part in value_and_slope(key))
        shift = {"explicit": 0 * truth, "denoising, sigma²": truth - 1.5 / sigma**2}.get(name, truth)
        reference = off - shift
        error = np.sqrt(value.var() / n + reference.var() / (8 * n))
        found[name] = Estimate(
            float(value.mean() - reference.mean()), float(error), value.std(), slope.mean(), slope.std()
        )
    return {name: Estimate(*map(float, row)) for name, row in found.items()}


def _network(width: int) -> Any:
    return networks.mlp(3, width=width, depth=3, inject=None)


def costs(batch: int, width: int, rounds: int) -> dict[str, float]:
    """Milliseconds of a loss with its gradient, every objective in turn; the quickest round counts, for others can only add."""
    network, x_0 = _network(width), targets.skewed().sample(jax.random.key(0), batch)
    params = network.init(jax.random.key(1))
    score = score_matching.network_score(network, SCHEDULE)
    calls = {name: jax.jit(jax.grad(make(score), has_aux=True)) for name, make in OBJECTIVES.items()}
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(rounds + 1):  # the first compiles
        for name, call in calls.items():
            began = time.perf_counter()
            jax.block_until_ready(call(params, jax.random.key(i), x_0))
            seconds[name].append(time.perf_counter() - began)
    return {name: 1e3 * min(taken[1:]) for name, taken in seconds.items()}


@lru_cache(1)
def _errors(width: int, n: int) -> Callable[[Any, Key], Array]:
    """(params, key) -> score errors [levels], eq. (2), compiled once for all objectives."""
    score, mixture = score_matching.network_score(_network(width), SCHEDULE), targets.skewed()

    def errors(params: Any, key: Key) -> Array:
        def at(level: tuple[Array, Key]) -> Array:
            t, key = level
            x = mixture.diffuse(SCHEDULE, t).sample(key, n)
            truth = jax.vmap(lambda x: _exact(x, t))(x)
            found = score(params, key, x, jnp.full(n, t))
            return jnp.sum((found - truth) ** 2) / jnp.sum(truth**2)

        return jax.lax.map(at, (jnp.asarray(LEVELS), jax.random.split(key, len(LEVELS))))

    return jax.jit(errors)


def trained_errors(
    name: str, *, steps: int, batch: int, seeds: int, width: int, learning_rate: float, n: int
) -> np.ndarray:
    """Score errors [seeds, levels], eq. (2), of the averaged network after training by one objective."""
    network, mixture = _network(width), targets.skewed()
    score = score_matching.network_score(network, SCHEDULE)
    optimizer = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))
    train_step = training.make_train_step(OBJECTIVES[name](score), optimizer)

    def one(state: training.TrainState, _: None) -> tuple[training.TrainState, None]:
        key_batch, _key_loss = state.keys()
        return train_step(state, mixture.sample(key_batch, batch))[0], None

    @partial(jax.jit, donate_argnums=0)
    def train(state: training.TrainState) -> training.TrainState:
        return jax.lax.scan(one, state, None, length=steps)[0]

    rows = []
    for seed in range(seeds):
        key_init, key_train = jax.random.split(jax.random.key(seed))
        state = train(training.TrainState.create(network.init(key_init), optimizer, key_train))
        require_finite(state)
        rows.append(np.asarray(_errors(width, n)(state.ema, jax.random.key(2026))))
    return np.stack(rows)
