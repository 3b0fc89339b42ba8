"""Stochastic differential equations: drifts and diffusions, their reversal, the law that evolves, and its end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddjax import schedules, sde
from ddjax.mixtures import GaussianMixture
from ddjax.schedules import Scales

X = np.array([0.3, -1.2, 0.7])
TIMES = (0.05, 0.4, 0.9)


def log_density(mixture, schedule):
    """log p(x, t) of the mixture's data along a schedule."""
    return lambda x, t: mixture.diffuse(schedule, t).log_prob(x)


def stirred(x, t):
    """A full G that depends on the state and on time."""
    return jnp.outer(jnp.sin(x), jnp.cos(2 * x)) + (1 + t) * jnp.diag(1 + x**2 / 4)


def bent(x, t):
    """A drift that is not a gradient."""
    return jnp.stack([x[1] * x[2], -x[0], jnp.sin(x[1])])


def test_a_schedule_is_the_law_of_its_sde(schedule, x64):
    """Moments of the linear SDE: m' = f m and v' = 2 f v + G^2 are alpha' and (sigma^2)'.

    Fails without the factor 2 or the signs of eq. (B).
    """
    process = sde.of_schedule(schedule)
    for t in TIMES:
        scales, rates = schedules.with_rates(schedule, t)
        factor = process.drift(jnp.ones(1), t)[0]
        assert float(factor * scales.alpha) == pytest.approx(float(rates.alpha), rel=1e-10, abs=1e-12)
        spread = 2 * factor * scales.sigma**2 + process.diffusion(jnp.ones(1), t) ** 2
        assert float(spread) == pytest.approx(float(2 * scales.sigma * rates.sigma), rel=1e-9)


def test_published_diffusions():
    """VP: sqrt(beta). Sub-VP: sqrt(beta (1 - exp(-2 B))). VE: sigma sqrt(2 log(sigma_max / sigma_min)). OU: sqrt(g)."""
    x, t = jnp.asarray(X, float), 0.3
    beta, integral = 0.1 + 19.9 * t, 0.1 * t + 19.9 * t**2 / 2
    explode = schedules.VarianceExploding(0.02, 20.0)
    for schedule, drift, diffusion in (
        (schedules.VariancePreserving(), -beta / 2, beta**0.5),
        (schedules.SubVariancePreserving(), -beta / 2, (beta * -np.expm1(-2 * integral)) ** 0.5),
        (explode, 0.0, float(explode(t).sigma) * (2 * np.log(1000)) ** 0.5),
        (schedules.OrnsteinUhlenbeck(7.0), -3.5, 7**0.5),
    ):
        found = sde.of_schedule(schedule)
        np.testing.assert_allclose(found.drift(x, t), drift * X, rtol=1e-5)
        np.testing.assert_allclose(found.diffusion(x, t), diffusion, rtol=1e-5)
    direct = sde.ornstein_uhlenbeck(7.0)
    np.testing.assert_allclose(direct.drift(x, t), -3.5 * X, rtol=1e-6)
    assert float(direct.diffusion(x, t)) == pytest.approx(7**0.5)


def test_rates_by_quadrature_are_the_closed_forms():
    """A linear rate is VariancePreserving, one of pi tan(pi t / 2) is Cosine; and 1 - alpha^2 keeps its digits at t = 1e-6.

    Fails with sigma^2 = 1 - alpha^2 in float32.
    """
    linear = schedules.OrnsteinUhlenbeck(lambda t: 0.1 + 19.9 * t)
    tangent = schedules.OrnsteinUhlenbeck(lambda t: jnp.pi * jnp.tan(jnp.pi / 2 * t))
    for t in (1e-6, 0.01, 0.3, 0.7):
        for found, exact in ((linear, schedules.VariancePreserving()), (tangent, schedules.Cosine())):
            np.testing.assert_allclose(found(t), exact(t), rtol=1e-3)
    h = float(schedules.OrnsteinUhlenbeck(2.0)(1e-6).sigma) ** 2
    assert h == pytest.approx(-np.expm1(-2e-6), rel=1e-3)


def test_scales_of_each_coordinate(x64):
    """A schedule with a vector of scales has a diffusion for each coordinate, that of the schedule alone."""
    fast, slow = schedules.OrnsteinUhlenbeck(2.0), schedules.VariancePreserving()

    def both(t):
        (a, b), (c, d) = fast(t), slow(t)
        return Scales(jnp.stack([a, c]), jnp.stack([b, d]))

    found, x = sde.of_schedule(both), jnp.array([1.0, 1.0])
    for i, schedule in enumerate((fast, slow)):
        alone = sde.of_schedule(schedule)
        assert float(found.drift(x, 0.3)[i]) == pytest.approx(float(alone.drift(x, 0.3)[i]))
        assert float(found.diffusion(x, 0.3)[i]) == pytest.approx(float(alone.diffusion(x, 0.3)))


def test_both_forms_of_andersons_drift(x64, skewed):
    """-f + div(G G^T) + G G^T score = -f + div(G G^T p) / p, of full, coordinate-wise and scalar G that depend on x.

    Fails without the divergence, with the gradient of the trace in its place, or with G^T G.
    """
    t, x = 0.4, jnp.asarray(X)
    density = log_density(skewed, schedules.OrnsteinUhlenbeck(3.0))
    for diffusion in (stirred, lambda x, t: 1 + jnp.sin(x) ** 2 + t, lambda x, t: 1 + t + x @ x):
        process = sde.SDE(bent, diffusion)
        found = sde.reverse(process, jax.grad(density), 1.0).drift(x, 1 - t)

        def flux(x, diffusion=diffusion):
            g = diffusion(x, t)
            matrix = g if g.ndim == 2 else jnp.diag(jnp.broadcast_to(g, (3,)))
            return matrix @ matrix.T * jnp.exp(density(x, t))

        second = jnp.einsum("ijj->i", jax.jacfwd(flux)(x)) / jnp.exp(density(x, t))
        np.testing.assert_allclose(found, second - bent(x, t), rtol=1e-5)


def test_the_reverse_of_a_reverse_is_the_process(x64, skewed):
    """With the scores of the same marginals: fails when either forgets that time runs from the horizon."""
    density = log_density(skewed, schedules.OrnsteinUhlenbeck(3.0))
    process, x, t = sde.SDE(bent, stirred), jnp.asarray(X), 0.3
    back = sde.reverse(process, jax.grad(density), 1.0)
    again = sde.reverse(back, lambda x, tau: jax.grad(density)(x, 1 - tau), 1.0)
    np.testing.assert_allclose(again.drift(x, t), bent(x, t), rtol=1e-8)
    np.testing.assert_allclose(again.diffusion(x, t), stirred(x, t), rtol=1e-12)


def test_the_flow_is_that_of_the_mixture(schedule, skewed):
    """Eq. (B) with the exact score is alpha' E[x_0 | x_t] + sigma' E[noise | x_t]."""
    velocity = sde.probability_flow(sde.of_schedule(schedule), lambda x, t: skewed.score(schedule, x, t))
    for t in TIMES:
        x = jnp.asarray(X, float)
        np.testing.assert_allclose(velocity(x, t), skewed.velocity(schedule, x, t), rtol=2e-3, atol=2e-4)


def test_fokker_planck(schedule, x64, skewed):
    """The law of x_t obeys the equation of its SDE in float64; without the 1/2, G too large by sqrt(2), it does not."""
    density, process = log_density(skewed, schedule), sde.of_schedule(schedule)

    @jax.jit
    def residual(factor, t):
        louder = process._replace(diffusion=lambda x, t: jnp.sqrt(factor) * process.diffusion(x, t))
        return sde.fokker_planck_residual(louder, density, jnp.asarray(X), t)

    for t in TIMES:
        assert abs(residual(1.0, t)) < 1e-4
        assert abs(residual(2.0, t)) > 0.03


def test_fokker_planck_of_a_state_dependent_diffusion(x64):
    """Geometric Brownian motion, lognormal at every time: fails when the divergence of G G^T is forgotten or doubled."""
    process = sde.SDE(lambda x, t: 0.3 * x, lambda x, t: jnp.diag(0.8 * x))

    def lognormal(x, t):
        mean, variance = (0.3 - 0.32) * t, 0.2 + 0.64 * t
        return jnp.sum(jax.scipy.stats.norm.logpdf(jnp.log(x), mean, jnp.sqrt(variance)) - jnp.log(x))

    assert abs(sde.fokker_planck_residual(process, lognormal, jnp.array([0.7, 2.1]), 0.5)) < 1e-10


def test_scores_under_two_schedules(skewed):
    """score of VP at x = score of the rectified x / (alpha + sigma), at t' = sigma / (alpha + sigma), over (alpha + sigma)."""
    schedule, x = schedules.VariancePreserving(), jnp.asarray(X, float)
    for t in TIMES:
        alpha, sigma = schedule(t)
        unit = alpha + sigma
        straight = skewed.score(schedules.Rectified(), x / unit, sigma / unit) / unit
        np.testing.assert_allclose(skewed.score(schedule, x, t), straight, rtol=1e-5, atol=1e-6)


def test_prior_gap(x64):
    """Against the Kullback-Leibler divergence by quadrature; it falls with t, and adds up over coordinates."""
    schedule = schedules.OrnsteinUhlenbeck(3.0)
    grid = np.linspace(-12, 12, 20_001)
    gaps = []
    for t in (0.2, 0.6, 1.0):
        alpha, sigma = map(float, schedule(t))
        log_p = -((grid - alpha * 1.3) ** 2) / (2 * sigma**2) - np.log(sigma)
        weights = np.exp(log_p) / np.sqrt(2 * np.pi)
        by_hand = np.trapezoid(weights * (log_p + grid**2 / 2), grid)
        gaps.append(float(sde.prior_gap(schedule, jnp.array([1.3]), t)))
        assert gaps[-1] == pytest.approx(by_hand, abs=1e-6)
    assert gaps[0] > gaps[1] > gaps[2]
    both = sde.prior_gap(schedule, jnp.array([1.3, -0.4]))
    parts = [sde.prior_gap(schedule, jnp.array([x])) for x in (1.3, -0.4)]
    assert float(both) == pytest.approx(float(sum(parts)))


def test_prior_gap_is_exact_for_every_sigma():
    """In float32 to 1e-6 of the closed form in float64, from 1e-8 through 1 to 50, and infinite at 0 alone.

    Mutations: sigma^2 - 1 as a difference of rounded numbers; log1p everywhere; the series left out."""
    near = [1 - 10.0**-k for k in range(1, 8)]
    for sigma in np.float32([*np.logspace(-8, 0, 41), *near, 0.70, 0.71, 1.22, 1.23, 1.01, 50.0, 1e-30]):
        found = sde.prior_gap(lambda t, sigma=sigma: Scales(jnp.zeros(()), jnp.asarray(sigma)), jnp.ones(4))
        excess = (np.float64(sigma) - 1) * (np.float64(sigma) + 1)
        closed = excess - np.log1p(excess) if abs(excess) < 0.9 else excess - 2 * np.log(np.float64(sigma))
        assert float(found) == pytest.approx(2 * closed, rel=1e-6), sigma
    assert sde.prior_gap(lambda t: Scales(jnp.zeros(()), jnp.zeros(())), jnp.ones(4)) == np.inf


def test_prior_gap_keeps_its_digits():
    """In float32 where sigma is nearly 1: alpha^2 |x_0|^2 / 2 and hardly more. Fails with log sigma^2 of a rounded sigma."""
    schedule = schedules.OrnsteinUhlenbeck(10.0)
    assert float(sde.prior_gap(schedule, jnp.ones(4))) == pytest.approx(np.exp(-10) * 2, rel=1e-2)


def test_bad_input():
    """One sentence each, where the process is called."""
    x = jnp.zeros(3)
    for wrong in (jnp.ones(2), jnp.ones((3, 2)), jnp.ones((1, 3, 3))):
        process = sde.SDE(lambda x, t: -x, lambda x, t, wrong=wrong: wrong)
        with pytest.raises(ValueError, match=r"a diffusion is \(\), \(3,\) or \[d, d\], got g.shape"):
            sde.probability_flow(process, lambda x, t: -x)(x, 0.1)
    with pytest.raises(ValueError, match="a drift has the shape of its state"):
        sde.probability_flow(sde.SDE(lambda x, t: x[:1], lambda x, t: 1.0), lambda x, t: -x)(x, 0.1)
    with pytest.raises(ValueError, match="a score must return an array of shape"):
        sde.reverse(sde.ornstein_uhlenbeck(), lambda x, t: x.sum(), 1.0).drift(x, 0.1)
    with pytest.raises(ValueError, match="a log density of one point is a scalar"):
        sde.fokker_planck_residual(sde.ornstein_uhlenbeck(), lambda x, t: -x, x, 0.1)
    for g in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="g must be positive"):
            sde.ornstein_uhlenbeck(g)
    for rates in ((0.0, 1.0), (2.0, 1.0), (0.1, np.inf)):
        for kind in (schedules.VariancePreserving, schedules.SubVariancePreserving):
            with pytest.raises(ValueError, match="need 0 < beta_min <= beta_max"):
                kind(*rates)


def test_a_mixture_of_one_is_a_gaussian_process(x64):
    """The residual holds for correlated data too, at a point far out."""
    mixture = GaussianMixture(np.ones(1), np.array([[1.0, -1.0]]), np.array([[[1.0, 0.6], [0.6, 0.5]]]))
    density = log_density(mixture, schedules.SubVariancePreserving())
    process = sde.of_schedule(schedules.SubVariancePreserving())
    assert abs(sde.fokker_planck_residual(process, density, jnp.array([3.0, -4.0]), 0.2)) < 1e-8
