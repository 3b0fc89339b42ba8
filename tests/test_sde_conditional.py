"""What reverse processes are for: a posterior, one law by three samplers, weak orders of the steps, one process on two clocks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from ddjax import schedules, score_matching, sde
from ddjax.mixtures import GaussianMixture

SCHEDULE = schedules.OrnsteinUhlenbeck(8.0)
PROCESS = sde.of_schedule(SCHEDULE)
OPERATOR, MEASURED = np.array([[1.0, -0.5, 0.3], [0.2, 0.4, -1.0]]), np.array([0.4, -0.7])
NOISE = np.array([[0.3, 0.05], [0.05, 0.2]])
HUMPS = GaussianMixture(np.array([0.3, 0.7]), np.array([[-2.0], [1.0]]), np.array([[[0.1]], [[0.4]]]))


def posterior(mixture):
    """Mean and covariance of x given y = A x + N(0, R), by Bayes' rule for each component in numpy."""
    weights, means, covs = [], [], []
    parts = zip(*(np.asarray(part, np.float64) for part in (mixture.weights, mixture.means, mixture.covs)), strict=True)
    for weight, mean, cov in parts:
        seen = OPERATOR @ cov @ OPERATOR.T + NOISE
        gain = cov @ OPERATOR.T @ np.linalg.inv(seen)
        weights.append(weight * scipy.stats.multivariate_normal(OPERATOR @ mean, seen).pdf(MEASURED))
        means.append(mean + gain @ (MEASURED - OPERATOR @ mean))
        covs.append(cov - gain @ OPERATOR @ cov)
    weights, means = np.array(weights) / np.sum(weights), np.array(means)
    mean = weights @ means
    second = sum(w * (cov + np.outer(m - mean, m - mean)) for w, m, cov in zip(weights, means, covs, strict=True))
    return mean, second


def given(mixture):
    """The score of the mixture given the measurement."""
    return score_matching.mixture_score(mixture.given_linear(OPERATOR, MEASURED, NOISE), SCHEDULE)


def by_bayes(mixture):
    """The score of the mixture, and that of the likelihood beside it."""
    likelihood = score_matching.linear_likelihood(mixture, SCHEDULE, OPERATOR, MEASURED, NOISE)
    return score_matching.bayes(score_matching.mixture_score(mixture, SCHEDULE), likelihood)


@pytest.mark.parametrize(("law", "score"), [("gaussian", by_bayes), ("skewed", given)], ids=["gaussian", "skewed"])
def test_the_conditional_reverse_sde_draws_the_posterior(law, score, skewed):
    """From N(0, I), with y = A x + noise: mean within 3 % of the posterior's deviation, covariance within 3 %.

    Mutations: the score of the prior, half of the pull in the drift.
    """
    gaussian = GaussianMixture(
        np.ones(1), np.array([[0.5, -1.0, 0.2]]), np.array([[[1.0, 0.4, 0.0], [0.4, 0.6, -0.2], [0.0, -0.2, 0.8]]])
    )
    mixture = {"gaussian": gaussian, "skewed": skewed}[law]
    key_prior, key_walk = jax.random.split(jax.random.key(0))
    x_1 = jax.random.normal(key_prior, (20_000, 3))
    times = 1 - np.linspace(1, 0, 33) ** 2  # of tau: finer near the data
    back = sde.reverse(PROCESS, score(mixture), 1.0)
    x_0 = np.asarray(sde.simulate(back, key_walk, x_1, times, method="heun", substeps=4)[-1], np.float64)
    mean, cov = posterior(mixture)
    assert np.linalg.norm(x_0.mean(0) - mean) < 0.03 * np.trace(cov) ** 0.5
    assert np.linalg.norm(np.cov(x_0.T) - cov) < 0.03 * np.linalg.norm(cov)


def cdf(x):
    """Of the two humps."""
    return sum(
        float(weight) * scipy.stats.norm.cdf(x, float(mean[0]), float(cov[0, 0]) ** 0.5)
        for weight, mean, cov in zip(HUMPS.weights, HUMPS.means, HUMPS.covs, strict=True)
    )


def test_three_samplers_have_one_terminal_law():
    """Reverse SDE, probability flow and predictor-corrector from the exact x_T: Kolmogorov-Smirnov at n = 20,000, p > .001.

    Mutations: the flow with the whole of G^2 score, a corrector whose noise is sqrt(size), its score at another time.
    """
    n = 20_000
    score = score_matching.mixture_score(HUMPS, SCHEDULE)
    x_1 = HUMPS.diffuse(SCHEDULE, 1.0).sample(jax.random.key(1), n)
    back, flow = sde.reverse(PROCESS, score, 1.0), sde.ordinary(sde.probability_flow(PROCESS, score))
    corrector = sde.predictor_corrector(
        lambda x, tau: score(x, 1 - tau), size=lambda tau: 0.02 * SCHEDULE(1 - tau).sigma ** 2, corrections=2,
        predictor=sde.heun,
    )  # fmt: skip
    times = np.linspace(1, 0, 33) ** 2
    ends = {
        "reverse": sde.simulate(back, jax.random.key(2), x_1, 1 - times, method="heun", substeps=4),
        "flow": sde.simulate(flow, jax.random.key(3), x_1, times, method="heun", substeps=4),
        "corrected": sde.simulate(back, jax.random.key(4), x_1, 1 - times, method=corrector, substeps=4),
    }
    found = {name: scipy.stats.kstest(np.asarray(path[-1, :, 0]), cdf).pvalue for name, path in ends.items()}
    assert min(found.values()) > 1e-3, found


def test_weak_order_of_the_reverse_process():
    """The variance at the end of simulated reverse paths, data N(0, 4), g = 2: the error of Euler-Maruyama falls with dt itself.

    Heun's of 8 steps is below a third of Euler-Maruyama's of 32. Mutations: dW of sqrt(2 dt), Heun's slope at the start alone.
    """
    n, schedule = 400_000, schedules.OrnsteinUhlenbeck(2.0)
    gaussian = GaussianMixture(np.ones(1), np.zeros((1, 1)), np.array([[[4.0]]]))
    back = sde.reverse(sde.of_schedule(schedule), score_matching.mixture_score(gaussian, schedule), 1.0)
    half = jax.random.normal(jax.random.key(5), (n // 2, 1))
    x_1 = jnp.concatenate([half, -half]) / half.std()  # of mean 0 and the exact variance: one source of noise less
    x_1 = x_1 * float(gaussian.diffuse(schedule, 1.0).cov()[0, 0]) ** 0.5

    def error(method, steps):
        path = sde.simulate(back, jax.random.key(6), x_1, np.linspace(0, 1, steps + 1), method=method)
        return abs(float(jnp.var(path[-1])) - 4)

    coarse, fine = error("euler_maruyama", 8), error("euler_maruyama", 32)
    assert abs(np.log2(coarse / fine) / 2 - 1) < 0.25
    assert error("heun", 8) < fine / 3


def test_one_process_on_two_clocks():
    """x / (alpha + sigma) of the variance-preserving SDE at t is the rectified one's state at sigma / (alpha + sigma), and back.

    From one point: N((1 - s) x_0, s^2) within 4 standard errors of both. Mutations: x / alpha, or the time t itself.
    """
    n, start, t = 100_000, 1.5, 0.35
    straight, curved = schedules.Rectified(), schedules.VariancePreserving()
    alpha, sigma = map(float, curved(t))
    unit, s = alpha + sigma, sigma / (alpha + sigma)
    x_0 = jnp.full((n, 1), start)
    walks = [
        sde.simulate(sde.of_schedule(schedule), key, x_0, np.array([0, end]), method="heun", substeps=64)[-1]
        for schedule, end, key in ((curved, t, jax.random.key(7)), (straight, s, jax.random.key(8)))
    ]
    for x, (mean, std) in (
        (walks[0] / unit, ((1 - s) * start, s)),
        (walks[1], ((1 - s) * start, s)),
        (walks[1] * unit, (alpha * start, sigma)),
    ):
        assert abs(float(x.mean()) - mean) < 4 * std / n**0.5
        assert abs(float(x.std()) - std) < 4 * std / (2 * n) ** 0.5


def test_the_reverse_of_ornstein_uhlenbeck():
    """Anderson's drift is (g / 2) x + g score, g at the time horizon - tau. Mutation: g at tau."""
    rate, x, tau = lambda t: 1 + 3 * t, jnp.array([0.4, -1.1]), 0.7
    back = sde.reverse(sde.ornstein_uhlenbeck(rate), lambda x, t: -x / (1 + t), 2.0)
    g = 1 + 3 * 1.3
    np.testing.assert_allclose(back.drift(x, tau), g / 2 * x - g * x / 2.3, rtol=1e-5)
    np.testing.assert_allclose(back.diffusion(x, tau), g**0.5, rtol=1e-5)
