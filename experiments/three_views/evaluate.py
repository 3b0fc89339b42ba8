"""Three views of one diffusion: paths of the SDE, of its reverse and of the probability flow, and what tells them apart.

    (1)  corr(x_0, x_t) = alpha std_0 / std_t     for both SDEs; 1 in ranks for the flow in 1-D
    (2)  E[x_0 | x_s] and E[x_T | x_s] = (alpha_T / alpha_s) x_s leave residuals that do not correlate, for both SDEs

Marginals agree; joint laws do not. Coordinates are the first ones.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
from jaxtyping import Array
from sklearn.neighbors import NearestNeighbors

from ddjax import metrics, score_matching, sde
from ddjax.compiled import compiled
from ddjax.mixtures import GaussianMixture
from ddjax.types import Key, Schedule

FORWARD, BACKWARD, FLOW = "SDE", "reverse SDE", "probability flow"


class Views(NamedTuple):
    """States [k, n, d] of each view at the times [k] of the forward process, from the same x_0 and, in reverse, the same x_T."""

    times: np.ndarray
    states: dict[str, np.ndarray]

    def every(self, k: int) -> "Views":
        """At each k-th of the times."""
        return Views(self.times[::k], {name: path[::k] for name, path in self.states.items()})


def walked(
    mixture: GaussianMixture, schedule: Schedule, key: Key, *, n: int, times: np.ndarray, substeps: int
) -> Views:
    """All three views by Heun's method, of n points."""
    key_data, key_forward, key_backward, key_flow = jax.random.split(key, 4)
    process, truth = sde.of_schedule(schedule), score_matching.mixture_score(mixture, schedule)
    horizon = float(times[-1])
    how: dict[str, Any] = {"method": "heun", "substeps": substeps}
    x_0 = mixture.sample(key_data, n)
    forward = sde.simulate(process, key_forward, x_0, times, **how)
    reverse = sde.reverse(process, truth, horizon)
    backward = sde.simulate(reverse, key_backward, forward[-1], horizon - times[::-1], **how)
    flow = sde.simulate(sde.ordinary(sde.probability_flow(process, truth)), key_flow, x_0, times, **how)
    states = {FORWARD: forward, BACKWARD: backward[::-1], FLOW: flow}
    return Views(times, {name: np.asarray(path) for name, path in states.items()})


class Agreement(NamedTuple):
    """MMD^2 of a view to fresh points of the exact marginal, at each time, and in standard deviations of the floor."""

    mmd2: np.ndarray
    off: np.ndarray


def agreement(
    mixture: GaussianMixture, schedule: Schedule, draws: list[Views], key: Key, *, repeats: int
) -> tuple[dict[str, Agreement], np.ndarray]:
    """Means over independent draws of the views, and the floor's standard deviation at each time."""
    times, n = draws[0].times, len(draws[0].states[FORWARD][0])
    found = {name: np.zeros((len(draws), len(times))) for name in draws[0].states}
    stds = np.zeros(len(times))
    sample = jax.jit(lambda key, t, n: mixture.diffuse(schedule, t).sample(key, n), static_argnums=2)
    for k, (t, key_t) in enumerate(zip(times, jax.random.split(key, len(times)), strict=True)):
        key_floor, *keys = jax.random.split(key_t, 1 + len(draws))
        stds[k] = metrics.floor(metrics.mmd, lambda key, n, t=t: sample(key, t, n), key_floor, n=n, repeats=repeats).std
        for i, (views, key_truth) in enumerate(zip(draws, keys, strict=True)):
            truth = sample(key_truth, t, n)
            for name, path in views.states.items():
                found[name][i, k] = metrics.mmd(path[k], truth)
    means = {name: values.mean(0) for name, values in found.items()}
    return {name: Agreement(mean, np.abs(mean) / stds) for name, mean in means.items()}, stds


def correlations(path: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pearson's and Spearman's correlation of x_0 with x_t, at each time."""
    first = path[0, :, 0]
    pearson = np.array([np.corrcoef(first, x[:, 0])[0, 1] for x in path])
    return pearson, np.array([scipy.stats.spearmanr(first, x[:, 0]).statistic for x in path])  # pyright: ignore[reportAttributeAccessIssue]


def exact_correlations(mixture: GaussianMixture, schedule: Schedule, times: np.ndarray) -> np.ndarray:
    """Eq. (1) of both SDEs."""
    variance = float(mixture.cov()[0, 0])
    alpha, sigma = map(np.asarray, jax.jit(jax.vmap(schedule))(jnp.asarray(times, float)))
    return alpha * (variance / (alpha**2 * variance + sigma**2)) ** 0.5


def residual_correlation(mixture: GaussianMixture, schedule: Schedule, views: Views, name: str, k: int) -> float:
    """Eq. (2), given the state at the k-th time."""
    path = views.states[name]
    t, horizon = float(views.times[k]), float(views.times[-1])
    past = path[0] - np.asarray(_recalled(mixture, schedule, jnp.asarray(path[k]), jnp.asarray(t)))
    future = path[-1] - float(schedule(horizon).alpha / schedule(t).alpha) * path[k]
    return float(np.corrcoef(past[:, 0], future[:, 0])[0, 1])


@compiled
def _recalled(mixture: GaussianMixture, schedule: Schedule, x: Array, t: Array) -> Array:
    """E[x_0 | x_t = x] of every point."""
    return jax.vmap(lambda x: mixture.posterior(schedule, x, t).mean())(x)


def overlap(path: np.ndarray, *, n: int = 2000, k: int = 10) -> float:
    """Share of the k nearest neighbours of x_0 that are among those of x_T: k / (n - 1) by chance."""
    ends = [NearestNeighbors(n_neighbors=k + 1).fit(x[:n]).kneighbors(x[:n])[1][:, 1:] for x in (path[0], path[-1])]
    return float(np.mean([len(np.intersect1d(*pair)) / k for pair in zip(*ends, strict=True)]))
