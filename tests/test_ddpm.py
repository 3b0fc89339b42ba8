"""DDPM on the library's parts: noise regression, ancestral and DDIM sampling, each against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close

from ddjax import denoisers, mixtures, objectives, schedules, times, weights
from ddjax.recipes import sampling
from ddjax.types import Network

SCHEDULE = schedules.DDPM()
COV = np.array([[0.5, 0.3, 0.0, 0.0], [0.3, 0.4, 0.1, 0.0], [0.0, 0.1, 0.3, -0.1], [0.0, 0.0, -0.1, 0.6]])
MEAN = np.array([0.5, -1.0, 0.2, 0.3])


def test_the_loss_is_the_mean_squared_error_of_the_noise():
    """L_simple by hand, with the keys split again. Mutations: uniform weight; times that are no steps of the chain."""
    guess = lambda params, x_t, t, cond, xi: jnp.sin(params * x_t) + t[:, None]  # noqa: E731
    denoiser = denoisers.mean(Network(lambda key: 1.0, guess), SCHEDULE, predicts="noise")
    loss_fn = objectives.denoising(denoiser, SCHEDULE, times=times.steps_of(1000), weight=weights.snr(SCHEDULE))
    x_0 = jnp.asarray(np.random.default_rng(0).normal(size=(64, 4)), jnp.float32)
    loss, _ = loss_fn(1.3, jax.random.key(1), x_0)
    key_time, key_noise, _ = jax.random.split(jax.random.key(1), 3)
    k = np.asarray(jax.random.randint(key_time, (64,), 1, 1001))
    bars = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))[k - 1][:, None]
    noise = np.asarray(jax.random.normal(key_noise, x_0.shape), np.float64)
    x_t = np.sqrt(bars) * np.asarray(x_0, np.float64) + np.sqrt(1 - bars) * noise
    close(loss, ((noise - np.sin(1.3 * x_t) - k[:, None] / 1000) ** 2).sum(1).mean(), rtol=1e-3)


@pytest.mark.parametrize(("churn", "steps"), [(1.0, 1000), (0.0, 250)])
def test_exact_scores_give_the_data_back(optimised, churn, steps):
    """Ancestral in 1,000 steps and DDIM in 250, of the exact mean of a skewed Gaussian: mean and covariance to 2 %.

    Mutations: the deviation of the bridge without its factor 1 + kappa; kappa squared in c_t.
    """
    mixture = mixtures.GaussianMixture(np.ones(1), MEAN[None], COV[None])
    draw = sampling.drawing(sampling.by_bridge(mixtures.mean_oracle(mixture, SCHEDULE), SCHEDULE, (4,)))
    x_0 = np.asarray(draw(None, jax.random.key(2), 20_000, steps=steps, churn=churn), np.float64)
    assert np.linalg.norm(x_0.mean(0) - MEAN) < 0.02 * np.linalg.norm(MEAN)
    assert np.linalg.norm(np.cov(x_0.T) - COV) < 0.02 * np.linalg.norm(COV)
