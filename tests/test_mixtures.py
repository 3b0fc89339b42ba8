"""Gaussian mixtures against SciPy, Bayes' rule, Tweedie's formula and a float64 reference by full matrices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import SKEWED
from numpy.testing import assert_allclose as close
from numpy.testing import assert_array_equal as same
from scipy import stats

from ddjax import denoisers, mixtures, paths, predictions, schedules
from ddjax.mixtures import GaussianMixture

POINTS = np.random.default_rng(0).normal(0, 2, (6, 3))
LAWS = [stats.multivariate_normal(*law) for law in zip(SKEWED["means"], SKEWED["covs"], strict=True)]
DENSITIES = np.array([law.pdf(POINTS) for law in LAWS])


def test_density_is_scipys_and_integrates_to_1(x64, skewed):
    """Fails for a lost 2 pi, a std for a variance, or rows of the basis for columns."""
    found = jnp.exp(jax.vmap(skewed.log_prob)(jnp.asarray(POINTS)))
    close(found, SKEWED["weights"] @ DENSITIES, rtol=1e-10)
    axis = np.linspace(-9, 9, 201)
    grid = jnp.asarray(np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2))
    plane = GaussianMixture(SKEWED["weights"], SKEWED["means"][:, :2], SKEWED["covs"][:, :2, :2])
    density = jnp.exp(jax.vmap(plane.log_prob)(grid))
    close(density.sum() * (axis[1] - axis[0]) ** 2, 1, rtol=1e-6)


def test_moments_and_draws(skewed):
    """Draws against mean and covariance at 4 sigma, and these against sums.

    Fails for a factor applied transposed.
    """
    weights, means, covs = SKEWED.values()
    mean = weights @ means
    second = np.einsum("k,kij->ij", weights, covs + means[:, :, None] * means[:, None, :])
    close(skewed.mean(), mean, rtol=1e-5)
    close(skewed.cov(), second - np.outer(mean, mean), rtol=1e-5, atol=1e-5)
    draws = np.asarray(skewed.sample(jax.random.key(0), 20000), np.float64)
    products = draws[:, :, None] * draws[:, None, :]
    for values, expected in ((draws, mean), (products, second)):
        assert (abs(values.mean(0) - expected) < 4 * values.std(0) / np.sqrt(20000)).all()


@pytest.mark.parametrize("t", [0.05, 0.5, 0.95])
def test_score_tweedie_bayes_and_velocity(x64, skewed, schedule, t):
    """Four identities at one x_t; each fails for a scale of the wrong time or power.

    score = grad log p_t; E[x_0 | x_t] = (x_t + sigma^2 score) / alpha;
    p(x_0 | x_t) p_t(x_t) = p_0(x_0) p(x_t | x_0); velocity = the conversion of the posterior mean.
    """
    alpha, sigma = schedule(t)

    @jax.jit
    def identities(x_0, x_t):
        score, posterior = skewed.score(schedule, x_t, t), skewed.posterior(schedule, x_t, t)
        log_prob = lambda x: skewed.diffuse(schedule, t).log_prob(x)  # noqa: E731
        likelihood = jax.scipy.stats.norm.logpdf(x_t, alpha * x_0, sigma).sum()
        converted = predictions.convert(schedule, x_t, t, posterior.mean(), source="x0", target="velocity")
        return (
            (score, jax.grad(log_prob)(x_t)),
            (posterior.mean(), (x_t + sigma**2 * score) / alpha),
            (posterior.log_prob(x_0) + log_prob(x_t), skewed.log_prob(x_0) + likelihood),
            (skewed.velocity(schedule, x_t, t), converted),
        )

    x_0 = jnp.asarray(POINTS)
    x_t = alpha * x_0 + sigma * jnp.asarray(POINTS[::-1]) / 2
    for left, right in jax.vmap(identities)(x_0, x_t):
        close(left, right, rtol=1e-7, atol=1e-7)


def reference_posterior(x_t, alpha, sigma):
    """Mean and covariance of x_0 given x_t in float64, by inverses and determinants of full matrices."""
    weights, means, covs = SKEWED.values()
    marginals = alpha**2 * covs + sigma**2 * np.eye(3)
    residuals = x_t - alpha * means
    inverses = np.linalg.inv(marginals)
    squares = np.einsum("ki,kij,kj->k", residuals, inverses, residuals)
    logs = np.log(weights) - (squares + np.linalg.slogdet(marginals)[1]) / 2
    shares = np.exp(logs - logs.max()) / np.exp(logs - logs.max()).sum()
    means = means + alpha * np.einsum("kij,kjl,kl->ki", covs, inverses, residuals)
    covs = np.linalg.inv(np.linalg.inv(covs) + alpha**2 / sigma**2 * np.eye(3))
    mean = shares @ means
    second = np.einsum("k,kij->ij", shares, covs + means[:, :, None] * means[:, None, :])
    return mean, second - np.outer(mean, mean)


@pytest.mark.parametrize("t", [1e-4, 1e-2, 0.3, 0.9, 1.0])
def test_float32_keeps_its_digits_at_every_noise_level(skewed, schedule, t):
    """Fails for S - alpha^2 S (alpha^2 S + sigma^2)^-1 S, which cancels to nothing at t = 1e-4."""
    with jax.enable_x64(True):
        alpha, sigma = map(float, schedule(float(np.float32(t))))
    noise = np.array([[0.3, -1.0, 0.5], [1.2, 0.4, -0.7]])
    x_t = np.float32(alpha * SKEWED["means"][:2] + 1.1 * noise * np.sqrt(0.4 * alpha**2 + sigma**2))

    @jax.jit
    @jax.vmap
    def moments(x):
        posterior = skewed.posterior(schedule, x, t)
        return posterior.mean(), posterior.cov()

    for x, mean, cov in zip(x_t, *moments(jnp.asarray(x_t)), strict=True):
        mean_64, cov_64 = reference_posterior(x.astype(np.float64), alpha, sigma)
        close(mean, mean_64, atol=3e-5 * np.abs(mean_64).max())
        close(cov, cov_64, atol=2e-4 * np.abs(cov_64).max())


def test_posterior_averages_to_the_prior(skewed):
    """Laws of total expectation and covariance over x_t.

    Fails for a posterior too wide, too narrow or off centre.
    """
    schedule, n = schedules.Cosine(), 4000
    x_0 = skewed.sample(jax.random.key(1), n)
    x_t = paths.interpolate(schedule, x_0, jax.random.normal(jax.random.key(2), (n, 3)), 0.6)
    posterior = jax.jit(jax.vmap(lambda x: skewed.posterior(schedule, x, 0.6)))(x_t)
    means = np.asarray(jax.vmap(GaussianMixture.mean)(posterior), np.float64)
    centred = means - SKEWED["weights"] @ SKEWED["means"]
    covs = np.asarray(jax.vmap(GaussianMixture.cov)(posterior)) + centred[:, :, None] * centred[:, None, :]
    for values, expected in ((centred, 0.0), (covs, np.asarray(skewed.cov()))):
        assert (abs(values.mean(0) - expected) < 4 * values.std(0) / np.sqrt(n)).all()


def test_tilting_goes_from_the_mixture_to_its_component(x64, skewed):
    """log p + w log p(k | .): weight 0 is p, weight 1 is w_k N_k.

    Fails for w - 1 in place of w, or the wrong component.
    """
    whole = np.log(SKEWED["weights"] @ DENSITIES)
    for k in range(3):
        part = np.log(SKEWED["weights"][k] * DENSITIES[k])
        for weight, expected in ((0.0, whole), (1.0, part), (2.5, whole + 2.5 * (part - whole))):
            tilted = jax.vmap(lambda x, k=k, weight=weight: skewed.tilted_log_prob(x, k, weight))
            close(tilted(jnp.asarray(POINTS)), expected, rtol=1e-10)


def test_a_mixture_is_a_pytree(skewed):
    """It passes jit, vmap and a round trip, leaves unchanged; fails for leaves in another order."""
    leaves, structure = jax.tree.flatten(skewed)
    again = jax.tree.unflatten(structure, leaves)
    x = jnp.asarray(POINTS[0], jnp.float32)
    assert again.log_prob(x) == skewed.log_prob(x)
    same(again.covs, skewed.covs)
    shift = jnp.arange(3.0)
    moved = jax.vmap(lambda by: GaussianMixture(skewed.weights, skewed.means + by, skewed.covs))(shift)
    found = jax.jit(jax.vmap(lambda mixture, x: mixture.log_prob(x)))(moved, x[None, :] + shift[:, None])
    close(found, [skewed.log_prob(x)] * 3, rtol=1e-5)


def test_oracle_draws_the_posterior_and_mean_oracle_its_mean(skewed):
    """Two different x_t at two times in one batch; fails for one key (or one time) shared by the examples."""
    schedule, n = schedules.Rectified(), 4000
    x_t, t = jnp.array([[1.0, 0.2, -0.5], [-0.3, 0.9, 0.4]]), jnp.array([0.3, 0.8])
    oracle = functools.partial(denoisers.population, mixtures.oracle(skewed, schedule), None)
    draws = np.asarray(oracle(jax.random.key(3), x_t, t, size=n), np.float64)
    mean = mixtures.mean_oracle(skewed, schedule)(None, jax.random.key(4), x_t, t)
    for i in range(2):
        expected, cov = reference_posterior(np.asarray(x_t[i], np.float64), 1 - float(t[i]), float(t[i]))
        close(mean[i], expected, rtol=1e-4)
        products = (draws[i] - expected)[:, :, None] * (draws[i] - expected)[:, None, :]
        for values, truth in ((draws[i], expected), (products, cov)):
            assert (abs(values.mean(0) - truth) < 4 * values.std(0) / np.sqrt(n)).all()
    standard = (draws - draws.mean(1, keepdims=True)) / draws.std(1, keepdims=True)
    assert (abs((standard[0] * standard[1]).mean(0)) < 4 / np.sqrt(n)).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"weights": np.array([0.6, 0.3, 0.2])}, "sum to 1"),
        ({"weights": np.array([0.7, 0.4, -0.1])}, "positive"),
        ({"weights": np.array([0.5, 0.5])}, "need weights"),
        ({"means": SKEWED["means"][:, :2]}, "need weights"),
        ({"means": SKEWED["means"] * np.nan}, "finite"),
        ({"covs": SKEWED["covs"][:, :2, :2]}, "need weights"),
        ({"covs": SKEWED["covs"] * np.ones(3)[:, None, None] * [1.0, 1.0, np.inf]}, "finite"),
        ({"covs": SKEWED["covs"] + np.triu(np.ones((3, 3)), 1)}, "symmetric"),
        ({"covs": np.stack([np.diag([1.0, 1.0, 0.0])] * 3)}, "positive definite"),
        ({"covs": np.stack([np.diag([1.0, 1.0, -1.0])] * 3)}, "positive definite"),
    ],
)
def test_impossible_mixtures_are_refused(unchecked, change, says):
    with pytest.raises(ValueError, match=says):
        GaussianMixture(**(SKEWED | change))
