"""How wide a learned posterior is, against time and the closed form."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ddjax import denoisers, paths
from ddjax.inputs import checked_count, checked_key
from ddjax.mixtures import GaussianMixture
from ddjax.types import Denoiser, Key, Params, Schedule, standard_normal


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
    at: Sequence[float] | np.ndarray,
    *,
    n: int = 2000,
    size: int = 32,
) -> Spread:
    """Root-mean-square posterior spread, sqrt(E tr Cov(x_0 | x_t) / d), of the denoiser's draws and in closed form.

    `mean_error` is the mean over times and seeds of |learned / exact - 1|.

    Raises: ValueError for n below 1, or fewer than 2 draws.
    """
    n, size = checked_count(n, "n"), checked_count(size, "size", least=2)

    @jax.jit
    def spreads(params: Params, key: Key, t: Array) -> tuple[Array, Array]:
        key_data, key_noise, key_xi = jax.random.split(key, 3)
        x_0 = mixture.sample(key_data, n)
        noise = standard_normal(key_noise, x_0.shape)
        x_t = jax.vmap(lambda x_0, noise: paths.interpolate(schedule, x_0, noise, t))(x_0, noise)
        draws = denoisers.population(denoiser, params, key_xi, x_t, jnp.full(n, t), size=size)
        learned = jnp.var(draws, axis=1, ddof=1).sum(-1)
        exact = jax.vmap(lambda x_t: jnp.trace(mixture.posterior(schedule, x_t, t).cov()))(x_t)
        return jnp.sqrt(learned.mean() / x_0.shape[1]), jnp.sqrt(exact.mean() / x_0.shape[1])

    def curve(params: Params) -> list[tuple[Array, Array]]:  # of the same data and noise for every seed
        keys = jax.random.split(jax.random.clone(checked_key(key)), len(at))
        return [spreads(params, key, float(t)) for key, t in zip(keys, at, strict=True)]

    values = np.array([curve(of_seed) for of_seed in params])
    learned, exact = values[:, :, 0], values[0, :, 1]
    error = float(np.mean(np.abs(learned / exact - 1)))
    return Spread([float(t) for t in at], learned.tolist(), exact.tolist(), error)
