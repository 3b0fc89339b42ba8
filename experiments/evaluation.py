"""Judging samplers against a known truth: every number with its floor and its range."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ddjax import denoisers, metrics, mixtures, paths, samplers, schedules, times
from ddjax.mixtures import GaussianMixture
from ddjax.types import Denoiser, Key, Params, Schedule, Step
from experiments.numbers import Number, measured, table

Draw = Callable[[Params, Key, float, Array], Array]
Metric = Callable[[Array, Array], Array]


def make_draw(
    denoiser: Denoiser, schedule: Schedule, shape: tuple[int, ...], *, make_step: Callable[..., Step] = samplers.bridge
) -> Draw:
    """A jitted sampler, with the steps of `samplers.bridge` unless told otherwise.

    Returns: `draw(params, key, churn, grid) -> [*shape]`, compiled once for each number of steps.
    """

    @jax.jit
    def draw(params: Params, key: Key, churn: float, grid: Array) -> Array:
        key_prior, key_steps = jax.random.split(key)
        step = make_step(denoisers.bind(denoiser, params), schedule, churn=churn)
        return samplers.sample(step, key_steps, paths.prior(schedule, key_prior, shape), grid)

    return draw


def mmd2(x: Array, y: Array) -> Array:
    """MMD^2, Gaussian kernel of bandwidth 1, U-statistic: the number of every two-Gaussians table."""
    return metrics.mmd(x, y)


def sliced_w2(x: Array, y: Array) -> Array:
    """Sliced W_2, 64 fixed projections."""
    return metrics.sliced_wasserstein(x, y, jax.random.key(0), p=2.0, projections=64)


def sweep(
    model: str,
    draw: Draw,
    params: Sequence[Params],
    mixture: GaussianMixture,
    key: Key,
    floors: dict[str, tuple[Metric, metrics.Floor]],
    *,
    nfe: Sequence[int],
    churn: Sequence[float],
    repeats: int,
) -> list[Number]:
    """Each metric at each number of steps and churn: median over seeds of the mean over fresh draws, with the full range.

    Args:
        params: one for each seed. floors: name -> (metric, its floor at this sample size). repeats: draws for each seed.
    """
    numbers = []
    for steps in nfe:
        for e in churn[:1] if steps == 1 else churn:  # at one step the bridge ends in x_0 whatever the churn
            key, *keys = jax.random.split(key, 1 + len(params) * repeats)
            values = {name: [] for name in floors}
            for i, key_draw in enumerate(keys):
                key_model, key_truth = jax.random.split(key_draw)
                x = draw(params[i // repeats], key_model, e, times.grid(steps))
                y = mixture.sample(key_truth, x.shape[0])
                for name, (metric, _) in floors.items():
                    values[name].append(float(metric(x, y)))
            for name, (_, floor) in floors.items():
                draws = np.reshape(values[name], (len(params), repeats))
                numbers.append(measured(model, name, steps, draws, floor, churn=float(e)))
    return numbers


class Spread(NamedTuple):
    """Posterior standard deviation against time, learned (one row for each seed) and exact."""

    t: list[float]
    learned: list[list[float]]
    exact: list[float]
    mean_error: float


def spread_curve(
    denoiser: Denoiser,
    params: Sequence[Params],
    mixture: GaussianMixture,
    schedule: Schedule,
    key: Key,
    at: Sequence[float],
    *,
    n: int = 2000,
    size: int = 32,
) -> Spread:
    """Root-mean-square posterior spread, sqrt(E tr Cov(x_0 | x_t) / d), of the denoiser's draws and in closed form.

    `mean_error` is the mean over times and seeds of |learned / exact - 1|.
    """

    @jax.jit
    def spreads(params: Params, key: Key, t: Array) -> tuple[Array, Array]:
        key_data, key_noise, key_xi = jax.random.split(key, 3)
        x_0 = mixture.sample(key_data, n)
        noise = jax.random.normal(key_noise, x_0.shape)
        x_t = jax.vmap(lambda x_0, noise: paths.interpolate(schedule, x_0, noise, t))(x_0, noise)
        draws = denoisers.population(denoiser, params, key_xi, x_t, jnp.full(n, t), size=size)
        learned = jnp.var(draws, axis=1, ddof=1).sum(-1)
        exact = jax.vmap(lambda x_t: jnp.trace(mixture.posterior(schedule, x_t, t).cov()))(x_t)
        return jnp.sqrt(learned.mean() / x_0.shape[1]), jnp.sqrt(exact.mean() / x_0.shape[1])

    values = np.array(
        [[spreads(p, k, float(t)) for k, t in zip(jax.random.split(key, len(at)), at, strict=True)] for p in params]
    )
    learned, exact = values[:, :, 0], values[0, :, 1]
    error = float(np.mean(np.abs(learned / exact - 1)))
    return Spread([float(t) for t in at], learned.tolist(), exact.tolist(), error)


def gap_closed(numbers: Sequence[Number], metric: str, limit: str) -> dict[str, dict[int, float]]:
    """Where each trained model lies between the limit of classical models (0) and the floor (1), at equal steps and churn.

    Only where the limit is more than 10 floor standard deviations off is there a gap to close; the largest churn is taken.
    """
    churn = max(number.churn for number in numbers)
    chosen = [n for n in numbers if n.metric == metric and (n.churn == churn or n.nfe == 1)]
    limits = {n.nfe: n.value for n in chosen if n.model == limit and n.value - n.floor > 10 * n.floor_std}
    shares: dict[str, dict[int, float]] = {}
    for n in chosen:
        if "oracle" not in n.model and n.nfe in limits:
            shares.setdefault(n.model, {})[n.nfe] = (limits[n.nfe] - n.value) / (limits[n.nfe] - n.floor)
    return shares


def oracle_ladder(
    mixture: GaussianMixture, *, n: int, nfe: Sequence[int], churn: Sequence[float], repeats: int
) -> tuple[str, float]:
    """A table of both oracles, and how many floor standard deviations the exact sampler is off at worst."""
    schedule = schedules.Rectified()
    key_floor, key_exact, key_mean = jax.random.split(jax.random.key(2026), 3)
    floor = metrics.floor(mmd2, lambda key, n: mixture.sample(key, n), key_floor, n=n, repeats=repeats)
    numbers = []
    # the null law of MMD^2 has a long tail (single draws leave 4 standard deviations about once in 100): four draws a cell
    for name, make, key, draws in (
        ("exact posterior (oracle)", mixtures.oracle, key_exact, 4),
        ("exact mean (oracle)", mixtures.mean_oracle, key_mean, 1),
    ):
        draw = make_draw(make(mixture, schedule), schedule, (n, mixture.means.shape[1]))
        floors = {"mmd2": (mmd2, floor)}
        numbers += sweep(name, draw, [None], mixture, key, floors, nfe=nfe, churn=churn, repeats=draws)
    exact = [abs(number.value - floor.mean) / floor.std for number in numbers if "posterior" in number.model]
    return table(numbers, "mmd2"), max(exact)
