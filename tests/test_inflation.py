"""Eigenbases, participation ratios, and schedules with vector scales: what they keep, what they reduce, what they refuse."""

import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close
from scipy.stats import ortho_group
from sklearn.datasets import make_moons

from ddjax import denoisers, flows, inflation, mixtures, objectives, paths, predictions, samplers, schedules, times
from ddjax.types import Network

VARIANCES = (3.0, 0.8, 0.05)
PRESERVING = inflation.preserving(np.array(VARIANCES))
REDUCING = inflation.reducing(np.array(VARIANCES), keep=1)
STARTED = [
    inflation.preserving(np.array(VARIANCES), rho=2.0, gamma=5e-4),
    inflation.reducing(np.array(VARIANCES), keep=2, growth=inflation.constant_gap(0.02), rho=0.5, gamma=5e-4),
]
FLOWS = [PRESERVING, REDUCING, *STARTED]
TIMES = np.linspace(0.02, 0.98, 9)


def covariance(seed, d):
    """A random covariance of condition number 1e4."""
    basis = ortho_group.rvs(d, random_state=seed)
    return (basis * np.geomspace(1e2, 1e-2, d)) @ basis.T


def moons():
    """Two moons, standardised along each axis."""
    x = make_moons(4000, noise=0.08, random_state=0)[0]
    return (x - x.mean(0)) / x.std(0)


def test_an_eigenbasis_is_a_rotation_that_makes_data_uncorrelated():
    """Covariance diagonal and descending, distances kept, and back again. Fails for rows read as columns, or ascending order."""
    x = np.random.default_rng(0).normal(size=(500, 3)) @ np.linalg.cholesky(covariance(1, 3)).T + 5
    images = x.reshape(500, 1, 3)
    eigen = inflation.eigenbasis(images)
    y = eigen.coordinates(images)
    close(np.cov(y.T, ddof=0), np.diag(eigen.variances), atol=1e-4 * float(eigen.variances[0]))
    assert (np.diff(eigen.variances) < 0).all()
    close(np.linalg.norm(y[0] - y[1]), np.linalg.norm(x[0] - x[1]), rtol=1e-5)
    close(eigen.points(y), images, atol=1e-4)
    close(inflation.eigenbasis_of(x.mean(0), np.cov(x.T, ddof=0)).basis, eigen.basis, atol=1e-6)


def test_flat_directions_are_refused_or_raised():
    """A pixel that never changes. Fails where its variance of 0 goes through, or `least` is not a share of the largest."""
    x = np.random.default_rng(0).normal(size=(100, 3)) * np.array([2.0, 1.0, 0.0])
    with pytest.raises(ValueError, match=r"no variance in 1 of 3 directions, got a singular covariance"):
        inflation.eigenbasis(x)
    variances = inflation.eigenbasis(x, least=1e-4).variances
    close(variances[2], 1e-4 * variances[0], rtol=1e-6)


@pytest.mark.parametrize("d", [2, 7])
def test_participation_counts_directions(x64, d):
    """1 for rank 1, d for a ball, and the same for turned and stretched data. Fails for tr(S)^2 / tr(S)^2, or a lost square."""
    ratio = inflation.participation_ratio
    v = np.random.default_rng(d).normal(size=d)
    close(ratio(np.outer(v, v)), 1, rtol=1e-12)
    close(ratio(np.eye(d)), d, rtol=1e-12)
    cov, turn = covariance(0, d), ortho_group.rvs(d, random_state=3)
    close(ratio(1e30 * turn @ cov @ turn.T), ratio(cov), rtol=1e-12)
    close(ratio(np.linalg.eigvalsh(cov)), np.trace(cov) ** 2 / np.trace(cov @ cov), rtol=1e-12)
    assert 1 < ratio(cov) < d


@pytest.mark.parametrize("schedule", FLOWS)
def test_scales_and_rates_are_those_of_the_paper(x64, schedule):
    """C and A of eq. (A) and (B), written again in NumPy, and their derivatives by hand. Fails for any other sign or power."""
    s2, g = np.array(VARIANCES), np.array(getattr(schedule, "growth", (1.0,) * 3))
    rate, gamma, t = schedule.rho * schedule.horizon, schedule.gamma, TIMES[:, None]
    grown = (1 + gamma) * np.exp(rate * g * t)
    noise, scale = s2 * (grown - 1), np.exp(-rate * g.max() * t / 2)
    sigma = scale * np.sqrt(noise)
    sigma_rate = -rate * g.max() / 2 * sigma + scale * s2 * rate * g * grown / (2 * np.sqrt(noise))
    scales, rates = jax.vmap(partial(schedules.with_rates, schedule))(jnp.asarray(TIMES))
    close(scales.alpha, np.broadcast_to(scale, (9, 3)), rtol=1e-11)
    close(scales.sigma, sigma, rtol=1e-11)
    close(rates.alpha, np.broadcast_to(-rate * g.max() / 2 * scale, (9, 3)), rtol=1e-11)
    close(rates.sigma, sigma_rate, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("schedule", FLOWS)
def test_the_start_is_the_data(schedule):
    """alpha(0) = 1, sigma(0)^2 = gamma s^2, and sigma sigma' finite. Fails for gamma in other units, or 0 times inf."""
    alpha, sigma = schedule(0.0)
    close(alpha, 1, rtol=1e-6)
    close(sigma**2, schedule.gamma * np.array(VARIANCES), rtol=1e-3)
    growth = np.array(getattr(schedule, "growth", (1.0,) * 3))
    half = schedule.rho * schedule.horizon / 2 * np.array(VARIANCES)
    expected = half * (growth * (1 + schedule.gamma) - growth.max() * schedule.gamma)
    close(schedules.spread_rate(schedule, 0.0), expected, rtol=1e-3)


def test_preserving_is_whitening_and_ornstein_uhlenbeck(x64, skewed):
    """x_t / s is the OU process of x_0 / s, and the pfODE of a mixture is that of the whitened one, times s.

    Fails for a rate without its horizon, or noise of one scale.
    """
    s = np.sqrt(VARIANCES)
    process = schedules.OrnsteinUhlenbeck(PRESERVING.rho * PRESERVING.horizon)
    x_0, noise, t = np.array([0.3, -1.0, 0.2]), np.array([1.0, 0.5, -2.0]), 0.3
    white = paths.interpolate(process, jnp.asarray(x_0 / s), jnp.asarray(noise), t)
    close(paths.interpolate(PRESERVING, jnp.asarray(x_0), jnp.asarray(noise), t), s * white, rtol=1e-12)
    whitened = mixtures.GaussianMixture(skewed.weights, skewed.means / s[None], skewed.covs / (s[:, None] * s)[None])
    expected = s * whitened.velocity(process, jnp.asarray(x_0 / s), t)
    field = flows.velocity(denoisers.bind(inflation.mixture_oracle(skewed, PRESERVING), None), PRESERVING)
    close(field(jax.random.key(0), jnp.asarray(x_0)[None], jnp.full(1, t))[0], expected, rtol=1e-9)


@pytest.mark.parametrize("d", [2, 3, 10])
def test_preserving_keeps_the_ratio_of_any_covariance(x64, d):
    """To 1e-6 at 11 times, with and without gamma; whitened it is d at every time, which says nothing of the data.

    Fails for one scale in the place of each, or noise added after scaling.
    """
    variances = np.linalg.eigvalsh(covariance(d, d))[::-1]
    for gamma in (0.0, 5e-4):
        schedule = inflation.preserving(variances, gamma=gamma)
        found = inflation.participation(schedule, variances, np.linspace(0, 1, 11))
        close(found.unscaled, inflation.participation_ratio(variances), rtol=1e-6)
        close(found.scaled, found.unscaled, rtol=1e-9)
        close(found.whitened, d, rtol=1e-9)
    assert inflation.participation_ratio(variances) < d / 1.5


def test_the_public_code_loses_the_ratio_of_two_moons(x64):
    """One scale for all: from 1.67 to 2.0, where the exact form stays. A dimension reduced ends at that of the kept ones."""
    eigen = inflation.eigenbasis(moons())
    along = partial(inflation.participation, variances=eigen.variances, times=np.linspace(0, 1, 5))
    public = along(inflation.preserving(inflation.one_scale(eigen.variances))).unscaled
    close(public[0], 1.67, atol=0.03)
    close(public[-1], 2.0, atol=2e-3)
    close(along(inflation.preserving(eigen.variances)).unscaled, public[0], rtol=1e-6)
    variances = np.array([4.0, 2.0, 1.0, 0.5])
    reducing = inflation.reducing(variances, keep=2, horizon=20.0)
    ratios = inflation.participation(reducing, variances, np.array([0.0, 0.2, 1.0])).scaled
    close(ratios[-1], inflation.participation_ratio(variances[:2]), rtol=1e-6)
    assert (np.diff(ratios) < 0).all()


def test_all_directions_kept_is_preserving(x64):
    """keep = d at g = 2 and rho = 1/2 is preserving at rho = 1. Fails for a gap among the kept."""
    everything = inflation.reducing(np.array(VARIANCES), keep=3, rho=0.5, horizon=8.0)
    for t in TIMES:
        close(everything(t), inflation.preserving(np.array(VARIANCES), horizon=8.0)(t), rtol=1e-12)


def test_laws_of_growth():
    """2 and (d - 2 k) / (d - k), 1 on average, a gap of d / (d - k); constant gaps."""
    g = inflation.original(10, 3)
    close(g.mean(), 1)
    close(g[0] - g[-1], 10 / 7)
    close(inflation.constant_gap(0.02)(3, 1), [2, 1.98, 1.98])
    close(inflation.original(4, 4), 2)
    with pytest.warns(UserWarning, match=r"more than half, the original growth of the others is -1 < 0"):
        g = inflation.original(3, 2)
    with pytest.raises(ValueError, match="sigma must grow"):
        inflation.Reducing((3.0, 2.0, 1.0), tuple(g), 1.0, 7.0, 0.1)


def test_the_horizon_is_where_the_prior_is_gaussian():
    """C(T) / s^2 = 1e3 in the slowest direction; a shorter one warns with the number that would do, which then is silent.

    Fails for the fastest direction in its place, or C without its - 1.
    """
    variances = np.array([2.0, 1.0])
    for schedule in (inflation.preserving(variances, rho=2.0), inflation.reducing(variances, keep=1, gamma=5e-4)):
        alpha, sigma = schedule(1.0)
        close(np.min((sigma / alpha) ** 2 / variances), 1e3, rtol=2e-3)
    with pytest.warns(UserWarning, match=r"horizon=3 is too short .* = 19.09 < 1000; take 6.909"):
        inflation.preserving(variances, horizon=3.0)
    with pytest.warns(UserWarning, match="take 4.36"):
        inflation.reducing(variances, keep=1, growth=inflation.constant_gap(0.416), horizon=4.0)
    with pytest.warns(UserWarning, match="none would do"):
        inflation.reducing(variances, keep=1, growth=inflation.original, horizon=9.0, gamma=5e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inflation.preserving(variances, horizon=inflation.horizon())


@pytest.mark.parametrize("schedule", FLOWS)
def test_vector_scales_go_through_everything_below(x64, schedule):
    """Bridge identities, every pair of predictions, and the exact posterior mean along the flow, in each direction.

    Fails where one direction's scales serve another.
    """
    x_0, noise, t, s = jnp.array([0.5, -1.0, 0.2]), jnp.array([-0.3, 0.8, 1.5]), 0.6, 0.25
    x_t = paths.interpolate(schedule, x_0, noise, t)
    (alpha_s, sigma_s), (alpha_t, sigma_t) = schedule(s), schedule(t)
    for churn in (0.0, 0.7, 1.0):
        zero = jnp.zeros(3)
        (c_0, std), (c_t, _) = (
            paths.bridge(schedule, *x, t, s, churn=churn) for x in ((zero + 1, zero), (zero, zero + 1))
        )
        close(c_t * alpha_t + c_0, alpha_s, rtol=1e-10)
        close(c_t**2 * sigma_t**2 + std**2, sigma_s**2, rtol=1e-10)
    for kind in predictions.KINDS:
        value = predictions.convert(schedule, x_t, t, x_0, source="x0", target=kind)
        close(predictions.convert(schedule, x_t, t, value, source=kind, target="x0"), x_0, rtol=1e-8)
    close(predictions.convert(schedule, x_t, t, x_0, source="x0", target="noise"), noise, rtol=1e-8)
    spreads = [
        spread(schedule, np.array(VARIANCES), t)
        for spread in (inflation.scaled_variances, inflation.unscaled_variances)
    ]
    close(spreads[0], alpha_t**2 * np.array(VARIANCES) + sigma_t**2, rtol=1e-12)
    close(spreads[0], alpha_t**2 * spreads[1], rtol=1e-12)


@pytest.mark.parametrize("schedule", [REDUCING, STARTED[0]])
def test_losses_and_samplers_take_them_unchanged(schedule):
    """The bridge at churn 1 with the exact posterior of a Gaussian gives its variances back, and the loss of its mean is theirs.

    Fails where a scale is summed over directions.
    """
    v = jnp.array(VARIANCES)
    mean = inflation.gaussian_oracle(v, schedule)

    def draw(params, key, x_t, t, cond=None):
        def std(t):
            alpha, sigma = schedule(t)
            return jnp.sqrt(v) * sigma / jnp.sqrt(alpha**2 * v + sigma**2)

        key_mean, key_draw = jax.random.split(key)  # a mean ignores its own
        return mean(None, key_mean, x_t, t) + jax.vmap(std)(t) * jax.random.normal(key_draw, x_t.shape)

    step = samplers.bridge(denoisers.bind(draw, None), schedule)
    x_1 = inflation.analytic_prior(schedule, v).sample(jax.random.key(0), 20_000)
    x_0 = samplers.sample(step, jax.random.key(1), x_1, times.grid(4))
    close(x_0.var(0), v, rtol=0.04)
    network = Network(lambda key: None, lambda params, x_t, t, cond, xi: jnp.zeros_like(x_t))
    loss_fn = objectives.denoising(denoisers.mean(network, schedule), schedule)
    close(loss_fn(None, jax.random.key(2), x_0)[0], jnp.sum(jnp.mean(x_0**2, 0)), rtol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: inflation.eigenbasis(np.ones(3)),
        lambda: inflation.eigenbasis(np.full((4, 2), np.nan)),
        lambda: inflation.eigenbasis(np.ones((1, 2))),
        lambda: inflation.eigenbasis_of(np.zeros(2), np.eye(3)),
        lambda: inflation.eigenbasis_of(np.zeros(2), np.array([[1.0, 0.5], [0.0, 1.0]])),
        lambda: inflation.eigenbasis_of(np.zeros(2), np.eye(2), least=1.0),
        lambda: inflation.eigenbasis_of(np.zeros(2), np.diag([1.0, -1.0])),
        lambda: inflation.participation_ratio(np.ones((2, 3))),
        lambda: inflation.preserving(np.array([1.0, 0.0])),
        lambda: inflation.preserving(np.array([1.0, np.inf])),
        lambda: inflation.preserving(np.ones((2, 2))),
        lambda: inflation.preserving(np.ones(0)),
        lambda: inflation.preserving(np.ones(2), rho=0.0),
        lambda: inflation.preserving(np.ones(2), horizon=-1.0),
        lambda: inflation.preserving(np.ones(2), gamma=-1e-4),
        lambda: inflation.reducing(np.ones(2), keep=0),
        lambda: inflation.reducing(np.ones(2), keep=3),
        lambda: inflation.reducing(np.array([1.0, 2.0]), keep=1),
        lambda: inflation.reducing(np.ones(2), keep=1, growth=inflation.original),
        lambda: inflation.reducing(np.ones(2), keep=1, growth=inflation.original, gamma=1e-3),
        lambda: inflation.Reducing((1.0, 1.0), (1.0, -0.1), 1.0, 7.0, 1e-3),
        lambda: inflation.Reducing((1.0, 1.0), (1.0,), 1.0, 7.0),
        lambda: inflation.constant_gap(0.0),
        lambda: inflation.constant_gap(2.5),
        lambda: inflation.original(3, 4),
        lambda: inflation.horizon(growth=0.0),
        lambda: inflation.horizon(ratio=0.0),
        lambda: inflation.one_scale(np.array([1.0, -1.0])),
    ],
)
def test_impossible_requests_are_refused(unchecked, make):
    with pytest.raises(ValueError, match="got "):
        make()
