"""Inflation and generation against the exact flow of a Gaussian and of a mixture; priors and their coverage."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close
from numpy.testing import assert_array_equal as same
from scipy.stats import chi

from ddjax import denoisers, flows, inflation, metrics, times
from ddjax.mixtures import GaussianMixture

VARIANCES = np.array([3.0, 0.8, 0.05])
REDUCING = inflation.reducing(VARIANCES, keep=1, gamma=5e-4)


def key():
    return jax.random.key(0)


def field_of(make, law, schedule):
    """The exact field of a law under vector scales."""
    return flows.velocity(denoisers.bind(make(law, schedule), None), schedule)


def flow_of_a_gaussian(schedule, x, t, s):
    """x(t) A(s) / A(t) sqrt((s0^2 + C(s)) / (s0^2 + C(t)))."""
    (alpha_t, _), (alpha_s, _) = schedule(t), schedule(s)
    grown = [inflation.unscaled_variances(schedule, VARIANCES, time) for time in (t, s)]
    return x * alpha_s / alpha_t * jnp.sqrt(grown[1] / grown[0])


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("heun", 2), ("rk4", 4)])
def test_solvers_have_their_orders_on_the_exact_flow(x64, name, order):
    """Slopes 1, 2 and 4 both ways; Heun's 256 steps within 1e-3. Fails for a field not turned round, or a grid that is."""
    x_0 = jnp.asarray([[1.0, -0.5, 0.3], [-2.0, 1.0, 0.1]])
    x_1 = jax.vmap(lambda x: flow_of_a_gaussian(REDUCING, x, 0.0, 1.0))(x_0)
    field, method = field_of(inflation.gaussian_oracle, VARIANCES, REDUCING), getattr(flows, name)
    up, down = [], []
    for n in (32, 64):
        grid = inflation.linear(n)
        up.append(np.abs(inflation.inflate(field, key(), x_0, grid, method=method) / x_1 - 1).max())
        down.append(np.abs(inflation.generate(field, key(), x_1, grid, method=method) / x_0 - 1).max())
    assert abs(np.log2(up[0] / up[1]) - order) < 0.3
    assert abs(np.log2(down[0] / down[1]) - order) < 0.3
    if name == "heun":
        assert np.abs(inflation.inflate(field, key(), x_0, inflation.linear(256)) / x_1 - 1).max() < 1e-3


def mixture():
    """Three Gaussians in the plane, and their variances along the axes."""
    law = GaussianMixture(
        np.array([0.5, 0.25, 0.25]), np.array([[1.5, 0.2], [-1.5, 0.6], [-1.5, -1.0]]), np.stack([0.05 * np.eye(2)] * 3)
    )
    cov = np.asarray(law.cov(), np.float64)
    eigen = inflation.eigenbasis_of(law.mean(), cov)
    turned = np.einsum("ji,kjl,lm->kim", eigen.basis, law.covs, eigen.basis)
    return GaussianMixture(law.weights, eigen.coordinates(law.means), (turned + turned.swapaxes(1, 2)) / 2), eigen


LAW, EIGEN = mixture()
MIXED = [inflation.preserving(EIGEN.variances), inflation.reducing(EIGEN.variances, keep=1)]


@pytest.mark.parametrize("schedule", MIXED)
def test_a_round_trip_with_the_exact_score_comes_back(schedule):
    """Mean squared error below 1e-4, and of the latents: variance of the prior. Truncated, what is lost is what it says.

    Fails for a grid climbed by 1 - t, whose small times float32 rounds away, or the wrong coordinates kept.
    """
    x_0 = LAW.sample(jax.random.key(1), 400)
    field = field_of(inflation.mixture_oracle, LAW, schedule)
    grid = inflation.variance_preserving(128, last=1e-5)
    found = jax.jit(lambda x: inflation.round_trip(field, key(), x, grid))(x_0)
    assert found.error.max() < 1e-4
    close(found.error, jnp.mean((found.x_0 - x_0) ** 2, 1), rtol=1e-6)
    prior = inflation.analytic_prior(schedule, EIGEN.variances)
    close(found.latents.std(0) / prior.std, 1, atol=0.15)
    mean = found.latents.mean(0)
    sent = inflation.truncated(1, fill=mean)(found.latents)
    same(sent[:, 0], found.latents[:, 0])
    same(sent[:, 1], jnp.full(400, mean[1]))
    same(inflation.truncated(1)(found.latents)[:, 1], 0)
    send = inflation.truncated(1)
    cut = jax.jit(lambda x: inflation.round_trip(field, key(), x, grid, send=send))(x_0)
    assert cut.error.mean() > 100 * found.error.mean()


def test_generation_from_either_prior_has_the_mixtures_moments():
    """From the analytic prior, and from that of an inflation, which is the same within the sampling error."""
    schedule = MIXED[0]
    field = field_of(inflation.mixture_oracle, LAW, schedule)
    grid = inflation.variance_preserving(48, last=1e-4)
    latents = inflation.inflate(field, key(), LAW.sample(jax.random.key(1), 4000), grid)
    analytic, empirical = (
        inflation.analytic_prior(schedule, EIGEN.variances),
        inflation.Prior(latents.mean(0), latents.std(0)),
    )
    close(empirical.std, analytic.std, rtol=0.05)
    close(empirical.mean / analytic.std, 0, atol=0.06)
    for prior in (analytic, empirical):
        x_0 = inflation.generate(field, key(), prior.sample(jax.random.key(2), 4000), grid)
        close(x_0.var(0), EIGEN.variances, rtol=0.08)
    close(inflation.coverage(latents, analytic), inflation.chi_coverage(2), atol=0.025)


@pytest.mark.filterwarnings("ignore:.*too short for a Gaussian prior")
@pytest.mark.parametrize("horizon", [None, 0.02])
def test_latents_are_gaussian_at_the_horizon_of_the_rule(horizon):
    """MMD^2 to N(0, I) within 4 standard deviations of its floor at C(T) / s^2 = 1,000, and far above it for a short T.

    Mutations: latents in other units; a rule that asks for less.
    """
    schedule = inflation.preserving(EIGEN.variances, gamma=5e-4, horizon=horizon)
    field = field_of(inflation.mixture_oracle, LAW, schedule)
    latents = inflation.inflate(field, key(), LAW.sample(jax.random.key(1), 4000), times.grid(64) ** 2)
    white = inflation.analytic_prior(schedule, EIGEN.variances).whitened(latents)
    normal = lambda key, n: jax.random.normal(key, (n, 2))  # noqa: E731
    floor = metrics.floor(metrics.mmd, normal, jax.random.key(3), n=4000, repeats=10)
    distance = (float(metrics.mmd(white, normal(jax.random.key(4), 4000))) - floor.mean) / floor.std
    assert abs(distance) < 4 if horizon is None else distance > 20


def test_paths_keep_every_kth_state_and_both_ends():
    """With their times, up and down. Fails where the last is dropped, or an inflation's times run backwards."""
    field = lambda key, x, t: jnp.broadcast_to(2 * t[:, None], x.shape)  # noqa: E731  so that x - t^2 stays
    grid, x = inflation.linear(7, last=0.1), jnp.zeros((2, 1))
    for path, start in ((inflation.inflate_path(field, key(), x, grid, every=3), 0.1),):
        kept = np.linspace(start, 1.1 - start, 8)[[0, 3, 6, 7]]
        close(path.times, kept, rtol=1e-6)
        close(path.states[:, 1, 0], kept**2 - start**2, atol=1e-6)


def test_coverage_of_a_gaussian_is_the_chi_law():
    """The shares of 2-D and 3-D as tabulated, those of any d as SciPy's; samples of a prior within 5 sigma of them.

    Fails for d instead of d / 2, or a distance that forgets the mean or the standard deviation.
    """
    close(100 * inflation.chi_coverage(2), [11.75, 39.35, 67.53, 86.47, 95.61, 98.89, 99.78], atol=0.006)
    close(100 * inflation.chi_coverage(3), [3.09, 19.87, 47.78, 73.85, 89.99, 97.07, 99.34], atol=0.006)
    prior = inflation.Prior(jnp.array([3.0, -1.0, 0.0, 2.0, 9.0]), jnp.array([0.1, 2.0, 1.0, 5.0, 0.01]))
    law = inflation.chi_coverage(5, radii=(1.0, 2.0, 4.0))
    close(law, chi(5).cdf([1.0, 2.0, 4.0]), rtol=1e-5)
    found = inflation.coverage(prior.sample(key(), 20_000), prior, radii=(1.0, 2.0, 4.0))
    assert (np.abs(found - law) < 5 * np.sqrt(law * (1 - law) / 20_000)).all()
    assert np.isnan(inflation.coverage(jnp.full((2, 5), jnp.nan), prior)).all()


def test_grids_and_the_law_of_times(x64):
    """Both ends exact; C / s^2 of the VP grid is that of VP at equal steps; N(12, 1.2) over a horizon, clipped inside.

    Fails for a grid in sigma, or a law that forgets its horizon.
    """
    grid = inflation.variance_preserving(10)
    rate = 0.1 + 19.9 / 2
    u = np.linspace(1, 0, 11)
    close(rate * grid, 0.1 * u + 19.9 * u**2 / 2, rtol=1e-12)
    same([inflation.linear(4, last=0.2)[0], inflation.linear(4, last=0.2)[-1]], [1.0, 0.2])
    close(inflation.linear(4), times.grid(4))
    drawn = 15.01 * inflation.normal(horizon=15.01)(key(), 20_000)
    close([drawn.mean(), drawn.std()], [12, 1.2], rtol=0.02)
    short = inflation.normal(horizon=12.0)(key(), 100)
    assert ((short > 0) & (short < 1)).all()
    assert 30 < (short > 0.999).sum() < 70


@pytest.mark.parametrize(
    "make",
    [
        lambda: inflation.inflate_path(lambda key, x, t: x, key(), jnp.ones((1, 1)), inflation.linear(2), every=0),
        lambda: inflation.inflate(lambda key, x, t: x, key(), jnp.ones((1, 1)), jnp.array([0.0, 1.0])),
        lambda: inflation.truncated(-1),
        lambda: inflation.truncated(3)(jnp.ones((4, 2))),
        lambda: inflation.truncated(1, fill=jnp.ones(3))(jnp.ones((4, 2))),
        lambda: inflation.coverage(jnp.ones((4, 2)), inflation.Prior(jnp.ones(3), jnp.ones(3))),
        lambda: inflation.chi_coverage(0),
        lambda: inflation.chi_coverage(2, radii=(0.0,)),
        lambda: inflation.linear(0),
        lambda: inflation.linear(3, last=1.0),
        lambda: inflation.variance_preserving(3, beta_min=0.0),
        lambda: inflation.normal(std=0.0, horizon=1.0),
        lambda: inflation.normal(horizon=0.0),
        lambda: inflation.normal(horizon=6.9),
    ],
)
def test_impossible_requests_are_refused(unchecked, make):
    with pytest.raises(ValueError, match="got "):
        make()
