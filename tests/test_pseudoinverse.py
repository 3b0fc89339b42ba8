"""Pseudoinverse guidance is exact for an isotropic Gaussian, one example at a time and as a sampler."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close

from ddjax import denoisers, mixtures, samplers, schedules, times
from ddjax.mixtures import GaussianMixture

SCHEDULE = schedules.Rectified()
VARIANCE, NOISE = 0.6, 0.3
DATA = GaussianMixture(np.ones(1), np.array([[0.5, -1.0, 0.2, 0.8]]), VARIANCE * np.eye(4)[None])
MATRIX = np.array([[1.0, 0.5, 0.0, -0.3], [0.0, 2.0, 1.0, 0.4]])
MEAN = denoisers.bind(mixtures.mean_oracle(DATA, SCHEDULE), None)


def guided(y, **changed):
    settings = {"noise": NOISE, "variance": VARIANCE} | changed
    return samplers.pseudoinverse_guided(MEAN, MATRIX, SCHEDULE, y=y, **settings)


@pytest.mark.parametrize("t", [0.05, 0.4, 0.97])
def test_it_is_the_exact_mean_given_y_of_an_isotropic_gaussian(t):
    """E[x_0 | x_t, y] by Bayes' rule for the Gaussian of x_0 given x_t.

    Mutations: r^2 without alpha; sigma for sigma^2; the residual's sign; a singular value too few.
    """
    x_t, y = jax.random.normal(jax.random.key(0), (3, 4)), jax.random.normal(jax.random.key(1), (3, 2))
    exact = jax.vmap(
        lambda x_t, y: DATA.posterior(SCHEDULE, x_t, t).given_linear(MATRIX, y, NOISE**2 * jnp.eye(2)).mean()
    )(x_t, y)
    close(guided(y)(jax.random.key(2), x_t, jnp.full(3, t)), exact, rtol=2e-5, atol=1e-5)


def test_along_the_flow_it_samples_the_law_given_y():
    """Mean and covariance within 5 standard errors at 64 of Heun's steps. Fails for a scale of .8, or noise in place of noise^2."""
    n, y = 4000, np.array([1.5, -0.7])
    step = samplers.heun(guided(np.tile(y, (n, 1))), SCHEDULE)
    x_0 = samplers.sample(step, jax.random.key(3), jax.random.normal(jax.random.key(4), (n, 4)), times.grid(64))
    law = DATA.given_linear(MATRIX, y, NOISE**2 * np.eye(2))
    variances = np.diagonal(law.cov())
    close(jnp.mean(x_0, 0), law.mean(), atol=float(5 * np.sqrt(variances.max() / n)))
    close(np.cov(np.asarray(x_0).T), law.cov(), atol=float(5 * variances.max() * np.sqrt(2 / n)))


def test_an_image_is_a_vector_row_by_row():
    """An event [2, 2, 1] has what its four elements have."""
    x_t, y, t = jnp.arange(4.0).reshape(1, 4), jnp.ones((1, 2)), jnp.full(1, 0.5)
    square = lambda key, x, t: MEAN(key, x.reshape(-1, 4), t).reshape(x.shape)  # noqa: E731
    of_image = samplers.pseudoinverse_guided(square, MATRIX, SCHEDULE, y=y, noise=NOISE, variance=VARIANCE)
    found = of_image(jax.random.key(0), x_t.reshape(1, 2, 2, 1), t)
    close(found.reshape(1, 4), guided(y)(jax.random.key(1), x_t, t), rtol=1e-6)


def test_it_refuses_what_does_not_fit():
    y = np.ones((3, 2))
    with pytest.raises(ValueError, match=r"y \[batch, m\]"):
        guided(np.ones((3, 4)))
    with pytest.raises(ValueError, match="noise must be positive"):
        guided(y, noise=0.0)
    with pytest.raises(ValueError, match="variance must be positive"):
        guided(y, variance=np.nan)
    with pytest.raises(ValueError, match="events of 4 elements"):
        guided(y)(jax.random.key(0), jnp.ones((3, 5)), jnp.full(3, 0.5))
    with pytest.raises(ValueError, match="as many as y"):
        guided(y)(jax.random.key(0), jnp.ones((2, 4)), jnp.full(2, 0.5))
