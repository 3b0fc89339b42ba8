"""Correlations of a denoiser's errors, likelihoods under vector scales, and uncertainty carried through a flow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close

from ddjax import denoisers, flows, inflation
from ddjax.mixtures import GaussianMixture

VARIANCES = np.array([3.0, 0.8])
REDUCING = inflation.reducing(VARIANCES, keep=1, gamma=5e-4)
PRESERVING = inflation.preserving(VARIANCES)
TIMES = np.array([0.02, 0.1, 0.3, 0.6])
LAW = GaussianMixture(
    np.array([0.6, 0.4]), np.array([[1.2, 0.3], [-1.8, -0.45]]), np.array([[[0.3, 0.1], [0.1, 0.2]]] * 2)
)


def key(seed=0):
    return jax.random.key(seed)


def exact(schedule, law=VARIANCES):
    make = inflation.gaussian_oracle if law is VARIANCES else inflation.mixture_oracle
    return denoisers.bind(make(law, schedule), None)


def gaussian(n):
    return jnp.sqrt(jnp.asarray(VARIANCES, jnp.float32))[None] * jax.random.normal(key(1), (n, 2))


@pytest.mark.parametrize("law", ["gaussian", "mixture"])
def test_an_exact_denoiser_adds_what_nobody_could_foresee(law):
    """Along the forward process its innovations are uncorrelated and its residuals what later looks share; not with fresh noise.

    Fails for states that are not of one process, innovations in the wrong order, or a denoiser that is off by a tenth.
    """
    n = 4000
    x_0 = gaussian(n) if law == "gaussian" else LAW.sample(key(1), n)
    denoise = exact(PRESERVING, VARIANCES if law == "gaussian" else LAW)
    states = inflation.process_states(PRESERVING, key(2), x_0, TIMES)
    found = inflation.outputs(denoise, key(3), states, TIMES)
    matrix = inflation.autocorrelation(inflation.innovations(found, x_0))
    close(jnp.diag(matrix), 1, rtol=1e-5)
    close(matrix, np.eye(4), atol=5 / np.sqrt(n))
    shared = jnp.mean((x_0[None] - found) ** 2, (1, 2))
    expected = jnp.sqrt(jnp.minimum(shared[:, None], shared[None]) / jnp.maximum(shared[:, None], shared[None]))
    close(inflation.autocorrelation(inflation.residuals(found, x_0)), expected, atol=0.06)
    fresh = inflation.fresh_states(PRESERVING, key(4), x_0, TIMES)
    again = inflation.outputs(denoise, key(5), fresh, TIMES)
    apart = inflation.autocorrelation(inflation.innovations(again, x_0)) - jnp.eye(4)
    assert jnp.abs(apart).max() > 0.2
    wrong = inflation.outputs(lambda *x: 0.9 * denoise(*x), key(6), states, TIMES)
    assert jnp.abs(inflation.autocorrelation(inflation.innovations(wrong, x_0)) - jnp.eye(4)).max() > 5 / np.sqrt(n)


def test_a_process_has_its_marginals_and_its_correlations():
    """Variances alpha^2 s^2 + sigma^2 at each time, covariance (alpha_t / alpha_s) var(x_s). Fails for noise that adds up."""
    states = inflation.process_states(REDUCING, key(), gaussian(8000), TIMES)
    variances = jnp.stack([inflation.scaled_variances(REDUCING, VARIANCES, t) for t in TIMES])
    close(states.var(1) / variances, 1, atol=0.07)
    ratio = REDUCING(TIMES[2]).alpha / REDUCING(TIMES[1]).alpha
    close(jnp.mean(states[1] * states[2], 0) / (ratio * variances[1]), 1, atol=0.12)
    fresh = inflation.fresh_states(REDUCING, key(1), gaussian(8000), TIMES)
    close(fresh.var(1) / variances, 1, atol=0.07)
    same_data = REDUCING(TIMES[1]).alpha * REDUCING(TIMES[2]).alpha * jnp.asarray(VARIANCES, float)
    close(jnp.mean(fresh[1] * fresh[2], 0) / same_data, 1, atol=0.25)


def test_correlations_by_hand():
    """Of values whose matrix is known; an error against a truth at each time. Fails for a matrix not centred."""
    a, b = jax.random.normal(key(), (2, 5000, 3))
    matrix = inflation.autocorrelation(jnp.stack([a + 7, 2 * a - 1, -a, b, 3 * a + 4 * b]))
    expected = np.array(
        [[1, 1, -1, 0, 0.6], [1, 1, -1, 0, 0.6], [-1, -1, 1, 0, -0.6], [0, 0, 0, 1, 0.8], [0.6, 0.6, -0.6, 0.8, 1]]
    )
    close(matrix, expected, atol=0.04)
    close(inflation.residuals(jnp.stack([a, b]), jnp.stack([b, b])), jnp.stack([b - a, 0 * b]))
    assert np.isnan(inflation.autocorrelation(jnp.ones((2, 4, 1)))).all()


@pytest.mark.parametrize("schedule", [PRESERVING, REDUCING])
def test_a_likelihood_integrates_to_one_and_is_the_mixtures(schedule):
    """Over a grid, to 2 %, and within .02 nats where the density is: `flows.log_density` takes vector scales as they are.

    Fails for a prior of one sigma, or of the wrong direction's.
    """
    start = 0.0 if schedule.gamma else 1e-4
    field = flows.velocity(exact(schedule, LAW), schedule)
    line = np.linspace(-4.5, 4.5, 28)
    grid = jnp.asarray(np.stack(np.meshgrid(line, line), -1).reshape(-1, 2), jnp.float32)
    density = jax.jit(lambda x: flows.log_density(field, schedule, key(), x, start=start, tolerance=1e-4))(grid)
    mass = np.exp(np.asarray(density.log_prob, np.float64)).sum() * (line[1] - line[0]) ** 2
    assert abs(mass - 1) < 0.02
    truth = np.asarray(jax.vmap(blurred(schedule, start).log_prob)(grid))
    close(density.log_prob[truth > -6], truth[truth > -6], atol=0.02)


def test_hutchinson_is_right_on_average():
    """At one point, against the law of data and noise at t = 0. Fails for a probe that is not of the event's shape."""
    field = flows.velocity(exact(REDUCING, LAW), REDUCING)
    x = jnp.tile(jnp.array([[0.5, -0.3]]), (100, 1))
    found = flows.log_density(field, REDUCING, key(), x, divergence=flows.hutchinson(), tolerance=1e-3).log_prob
    assert abs(found.mean() - blurred(REDUCING, 0.0).log_prob(x[0])) < 4 * found.std() / 10 + 5e-3
    assert found.std() > 1e-3


def blurred(schedule, t):
    """The mixture with the noise of one time."""
    alpha, sigma = schedule(t)
    return GaussianMixture(LAW.weights, alpha[0] * LAW.means, alpha[0] ** 2 * LAW.covs + jnp.diag(sigma**2)[None])


def test_credible_intervals_of_a_gaussian_cloud(x64):
    """Linear flow: a cloud N(x, std^2) comes back with the quantiles it had, and stirred with both variances.

    Fails for noise in units of the data, intervals of another level, or latents returned unstirred.
    """
    field = flows.velocity(exact(REDUCING), REDUCING)
    centre, std = jnp.array([1.0, -0.5]), 0.2
    cloud = inflation.ball(key(), centre, std, 20_000, fill="gaussian")
    grid = inflation.linear(64)
    plain = inflation.credible(field, key(1), cloud, grid, level=0.8)
    close(plain.x_0, cloud, atol=1e-3)
    close(plain.low, centre - 1.2816 * std, atol=0.01)
    close(plain.high, centre + 1.2816 * std, atol=0.01)
    stretch = inflation.analytic_prior(REDUCING, VARIANCES).std / np.sqrt(VARIANCES * (1 + 5e-4))
    close(plain.latent_high - plain.latent_low, stretch * (plain.high - plain.low), rtol=5e-3)
    prior = inflation.analytic_prior(REDUCING, VARIANCES)
    found = inflation.credible(field, key(2), cloud, grid, level=0.8, stir=inflation.stirred(prior, 0.1))
    wider = np.sqrt(std**2 + 0.01 * VARIANCES)
    close(found.high - found.low, 2 * 1.2816 * wider, rtol=0.03)
    assert not np.array_equal(found.latents, plain.latents)


def test_a_ball_is_round_and_a_flow_bends_it():
    """Radii and second moments of each kind; a linear map's stretches. Fails for points crowded at the centre, or stds unsorted."""
    centre = jnp.array([3.0, -1.0, 0.5])
    away = {
        fill: inflation.ball(key(), centre, 0.3, 4000, fill=fill) - centre[None]
        for fill in ("ball", "sphere", "gaussian")
    }
    radii = jnp.linalg.norm(away["ball"], axis=1) / 0.3
    assert radii.max() <= 1 + 1e-6
    close(jnp.mean(radii**3), 0.5, atol=0.03)
    close(jnp.linalg.norm(away["sphere"], axis=1), 0.3, rtol=1e-5)
    close(away["gaussian"].std(0), 0.3, rtol=0.06)
    for points in away.values():
        close(points.mean(0), 0, atol=0.025)
    found = inflation.distorted(lambda x: x * jnp.array([[0.5, 2.0, 1.0]]), away["gaussian"])
    close(found.stds_after, 0.3 * np.array([2, 1, 0.5]), rtol=0.06)
    close(found.stds_before, 0.3, rtol=0.06)


@pytest.mark.parametrize(
    "make",
    [
        lambda: inflation.process_states(REDUCING, key(), jnp.ones((2, 2)), np.array([0.5, 0.2])),
        lambda: inflation.fresh_states(REDUCING, key(), jnp.ones((2, 2)), np.ones(0)),
        lambda: inflation.outputs(exact(REDUCING), key(), jnp.ones((2, 4, 2)), np.ones(3)),
        lambda: inflation.autocorrelation(jnp.ones((2, 1, 2))),
        lambda: inflation.credible(lambda key, x, t: x, key(), jnp.ones((1, 2)), inflation.linear(2)),
        lambda: inflation.credible(lambda key, x, t: x, key(), jnp.ones((3, 2)), inflation.linear(2), level=1.0),
        lambda: inflation.stirred(inflation.Prior(jnp.zeros(2), jnp.ones(2)), -1.0),
        lambda: inflation.ball(key(), jnp.ones(2), 0.0, 3),
        lambda: inflation.ball(key(), jnp.ones(2), 1.0, 0),
        lambda: inflation.ball(key(), jnp.ones(2), 1.0, 3, fill="cube"),
    ],
)
def test_impossible_requests_are_refused(unchecked, make):
    with pytest.raises(ValueError, match="got "):
        make()
