"""Simulated paths: moments, orders in law, both directions of time, and the joint laws that tell the views apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddjax import schedules, sde
from ddjax.mixtures import GaussianMixture

G = 2.0  # the rate of the Ornstein-Uhlenbeck process of the tests, whose data are N(0, 4)
N = 100_000
OU = sde.ornstein_uhlenbeck(G)


def decay(t):
    """alpha of the process."""
    return jnp.exp(-G * t / 2)


def score(x, t):
    """Of the process started at N(0, 4)."""
    return -x / (4 * decay(t) ** 2 - jnp.expm1(-G * t))


def spread(x):
    """The standard deviation over the examples, and its standard error for a Gaussian."""
    std = float(np.std(x))
    return std, std / np.sqrt(2 * len(x))


def grid(steps, end=1.0):
    """Equal steps from 0 to the end."""
    return np.linspace(0, end, steps + 1)


def discrete(method, dt, steps):
    """Mean factor and variance of an Ornstein-Uhlenbeck path of this many steps, by the recursion of the method."""
    a = G * dt / 2
    factor, kick = {"euler_maruyama": (1 - a, 1.0), "heun": (1 - a + a**2 / 2, 1 - a / 2)}[method]
    powers = factor ** (2 * np.arange(steps))
    return factor**steps, float(powers.sum()) * kick**2 * G * dt


@pytest.mark.parametrize("method", ["euler_maruyama", "heun"])
def test_moments_are_those_of_the_method(method):
    """Within 4 standard errors of its recursion, at 8 steps. Fails with sqrt(dt) lost, or a new dW in Heun's second stage."""
    x = sde.simulate(OU, jax.random.key(1), jnp.full((N, 1), 1.5), grid(8), method=method)[-1]
    factor, variance = discrete(method, 1 / 8, 8)
    std, error = spread(x)
    assert abs(float(x.mean()) - 1.5 * factor) < 4 * variance**0.5 / N**0.5
    assert abs(std - variance**0.5) < 4 * error


def test_orders_of_the_methods():
    """The recursions that the last test holds the methods to: errors of the variance fall by 2 and by 4 when dt is halved."""
    for method, order in (("euler_maruyama", 1), ("heun", 2)):
        errors = [abs(discrete(method, 1 / n, n)[1] + np.expm1(-G)) for n in (64, 128)]
        assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.05)


def test_heun_averages_a_diffusion_of_time():
    """dx = sqrt(2 t) dW from 0 to 1 has variance 1; in one step 1/2 by Heun, 0 by Euler.

    Fails with G at t alone."""
    process = sde.SDE(lambda x, t: 0 * x, lambda x, t: jnp.sqrt(2 * t))
    x = jnp.zeros((N, 1))
    one = sde.simulate(process, jax.random.key(2), x, grid(1), method="heun")[-1]
    many = sde.simulate(process, jax.random.key(3), x, grid(1), method="heun", substeps=32)[-1]
    assert spread(one)[0] == pytest.approx(0.5**0.5, rel=0.01)
    assert spread(many)[0] == pytest.approx(1, rel=0.01)


def test_the_variance_is_not_that_of_the_erratum():
    """From a point, 1 - alpha^2 within 3 standard errors; alpha^2 (1 - alpha^2), of d(X / alpha) = sqrt(g) alpha dW, is far off."""
    t = 0.5
    x = sde.simulate(OU, jax.random.key(4), jnp.zeros((N, 1)), grid(2, t), method="heun", substeps=32)[-1]
    std, error = spread(x)
    alpha = float(decay(t))
    assert abs(std - (1 - alpha**2) ** 0.5) < 3 * error
    assert abs(std - alpha * (1 - alpha**2) ** 0.5) > 50 * error


def test_the_sde_forgets_and_the_flow_does_not():
    """corr(X_0, X_T) = .6205 for the SDE and its reverse, 1 for the flow, with equal marginals; data N(0, 4), g = 2, T = 1.

    Fails with a reverse SDE that takes its noise from the flow, or a flow with the whole of G G^T score.
    """
    key_0, key_1, key_f, key_b = jax.random.split(jax.random.key(5), 4)
    x_0 = 2 * jax.random.normal(key_0, (N, 1))
    std_1 = float((4 * decay(1.0) ** 2 - jnp.expm1(-G)) ** 0.5)
    x_1 = std_1 * jax.random.normal(key_1, (N, 1))
    forward = sde.simulate(OU, key_f, x_0, grid(2), method="heun", substeps=32)
    backward = sde.simulate(sde.reverse(OU, score, 1.0), key_b, x_1, grid(2), method="heun", substeps=32)[::-1]
    flow = sde.ordinary(sde.probability_flow(OU, score))
    pushed = sde.simulate(flow, jax.random.key(0), x_0, grid(2), method="heun", substeps=32)
    expected = 2 * float(decay(1.0)) / std_1
    assert expected == pytest.approx(0.6205, abs=1e-4)
    for path, correlation in ((forward, expected), (backward, expected), (pushed, 1.0)):
        for k, std in ((0, 2.0), (2, std_1)):
            found, error = spread(path[k])
            assert abs(found - std) < 4 * error + 1e-3
        found = np.corrcoef(path[0, :, 0], path[-1, :, 0])[0, 1]
        assert abs(found - correlation) < 4 * (1 - correlation**2) / N**0.5 + 1e-5
        if correlation < 1:  # Markov, either way: the ends are independent given what lies between
            past, future = (
                path[k, :, 0] - np.polyval(np.polyfit(path[1, :, 0], path[k, :, 0], 1), path[1, :, 0]) for k in (0, 2)
            )
            assert abs(np.corrcoef(past, future)[0, 1]) < 4 / N**0.5


def test_the_flow_runs_both_ways():
    """There and back is where it was, and there is the exact map x_0 std_1 / std_0: fails with sqrt(g) in the place of g."""
    x_0 = jnp.linspace(-3, 3, 7)[:, None]
    flow = sde.ordinary(sde.probability_flow(OU, score))
    run = lambda x, times: sde.simulate(flow, jax.random.key(0), x, times, method="heun", substeps=64)  # noqa: E731
    there = run(x_0, grid(2))
    np.testing.assert_allclose(there[-1], x_0 * (decay(1.0) ** 2 - jnp.expm1(-G) / 4) ** 0.5, atol=1e-4)
    np.testing.assert_allclose(run(there[-1], grid(2)[::-1])[-1], x_0, atol=1e-4)


def test_a_state_dependent_diffusion_reverses():
    """Geometric Brownian motion, lognormal at both ends: fails without div(G G^T), which moves the mean of log x by .64."""
    process = sde.SDE(lambda x, t: 0.1 * x, lambda x, t: 0.8 * x)

    def lognormal(x, t):
        variance = 0.2 + 0.64 * t
        return -(jnp.log(x) + 0.22 * t) / variance / x - 1 / x

    log_x_1 = -0.22 + 0.84**0.5 * jax.random.normal(jax.random.key(6), (N, 1))
    back = sde.reverse(process, lognormal, 1.0)
    x = np.log(sde.simulate(back, jax.random.key(7), jnp.exp(log_x_1), grid(2), substeps=128)[-1])
    std, error = spread(x)
    assert abs(x.mean()) < 4 * error + 0.01  # of the discretisation
    assert abs(std - 0.2**0.5) < 4 * error + 0.01


def test_predictor_and_corrector_keep_the_law():
    """Reverse steps far too long for Euler-Maruyama alone, mended by Langevin steps. Fails with the score of another time."""
    std_1 = float((4 * decay(1.0) ** 2 - jnp.expm1(-G)) ** 0.5)
    x_1 = std_1 * jax.random.normal(jax.random.key(8), (N, 1))
    corrected = sde.predictor_corrector(lambda x, tau: score(x, 1 - tau), size=lambda tau: 0.3 + 0 * tau, corrections=8)
    back = sde.reverse(OU, score, 1.0)
    plain, mended = (
        spread(sde.simulate(back, jax.random.key(9), x_1, grid(4), method=method)[-1])[0]
        for method in ("euler_maruyama", corrected)
    )
    variance, factor = 4.0, 1 - 0.3 / 4  # an unadjusted Langevin chain settles at variance / (1 - size / (2 variance))
    settled = 2 * 0.3 / (1 - factor**2)
    assert abs(plain - 2) > 0.1
    assert settled == pytest.approx(variance / (1 - 0.3 / 8))
    assert abs(mended - settled**0.5) < 0.04


def test_noise_of_a_full_matrix():
    """A constant G in the plane: Cov = G G^T t. Fails with G^T, or with the noise of one coordinate for both."""
    g = np.array([[1.0, 0.0], [0.7, 0.2]])
    process = sde.SDE(lambda x, t: 0 * x, lambda x, t: jnp.asarray(g, float))
    x = sde.simulate(process, jax.random.key(10), jnp.zeros((N, 2)), np.array([0.0, 2.0]))[-1]
    np.testing.assert_allclose(np.cov(x.T), 2 * g @ g.T, atol=0.03)


def test_adaptive_steps():
    """Moments of an Ornstein-Uhlenbeck process and of the logarithm of a geometric Brownian motion.

    Fails without the correction of Ito's drift, which moves the latter's mean by .32.
    """
    n = 2000
    x = sde.integrate(OU, jax.random.key(11), jnp.full((n, 1), 1.5)).x
    std, error = spread(x)
    assert abs(float(x.mean()) - 1.5 * float(decay(1.0))) < 4 * std / n**0.5
    assert abs(std - float(-jnp.expm1(-G)) ** 0.5) < 4 * error
    process = sde.SDE(lambda x, t: 0.1 * x, lambda x, t: 0.8 * x)
    found = sde.integrate(process, jax.random.key(12), jnp.ones((n, 1)))
    assert found.converged.all()
    std, error = spread(np.log(found.x))
    assert abs(float(np.log(found.x).mean()) + 0.22) < 4 * std / n**0.5
    assert abs(std - 0.8) < 4 * error


def test_adaptive_steps_of_a_full_matrix():
    """dx = x turned by a right angle, dW: |x|^2 = exp(t), without any noise, by Ito's rule.

    Fails without the correction (|x| stays 1), or with its indices exchanged.
    """
    process = sde.SDE(lambda x, t: 0 * x, lambda x, t: jnp.stack([jnp.stack([-x[1], x[0]]), jnp.zeros(2)], 1))
    found = sde.integrate(process, jax.random.key(18), jnp.tile(jnp.array([[0.6, 0.8]]), (50, 1)), tolerance=1e-5)
    np.testing.assert_allclose(jnp.sum(found.x**2, 1), np.e, rtol=0.01)


def test_the_reverse_sde_draws_the_data(skewed):
    """From the exact x_T, mean and covariance of a mixture in 3-D."""
    schedule, n = schedules.OrnsteinUhlenbeck(4.0), 20_000
    process = sde.of_schedule(schedule)
    x_1 = skewed.diffuse(schedule, 1.0).sample(jax.random.key(13), n)
    back = sde.reverse(process, lambda x, t: skewed.score(schedule, x, t), 1.0)
    x_0 = sde.simulate(back, jax.random.key(14), x_1, grid(2), substeps=100)[-1]
    truth = skewed.sample(jax.random.key(15), n)
    np.testing.assert_allclose(x_0.mean(0), skewed.mean(), atol=0.06)
    np.testing.assert_allclose(np.cov(x_0.T), np.cov(truth.T), atol=0.15)


def test_a_state_keeps_its_dtype_and_the_first_row():
    """bfloat16 states are walked in float32 and rounded at the end."""
    x = jnp.linspace(-1, 1, 6).reshape(3, 2).astype(jnp.bfloat16)
    path = sde.simulate(OU, jax.random.key(0), x, grid(2))
    assert path.shape == (3, 3, 2) and path.dtype == jnp.bfloat16
    assert (path[0] == x).all()


def test_bad_input(unchecked):
    """One sentence each, before any step."""
    x = jnp.zeros((2, 1))
    run = lambda *args, **kwargs: sde.simulate(OU, jax.random.key(0), *args, **kwargs)  # noqa: E731
    for times in (np.array([1.0, 0.5, 0.0]), np.array([0.0, 0.0]), np.array([0.0, np.nan])):
        with pytest.raises(ValueError, match="times grow strictly: a diffusion runs one way"):
            run(x, times)
    for times in (np.zeros(1), np.zeros((2, 2))):
        with pytest.raises(ValueError, match="need a vector of at least 2 times"):
            run(x, times)
    with pytest.raises(ValueError, match="a method is one of"):
        run(x, grid(1), method="midpoint")
    with pytest.raises(ValueError, match="at least 1, got substeps=0"):
        run(x, grid(1), substeps=0)
    with pytest.raises(ValueError, match="starts at floating states"):
        run(jnp.zeros((2, 1), int), grid(1))
    for size, corrections, says in ((0.0, 1, "size > 0"), (-1.0, 1, "size > 0"), (0.1, 0, "got corrections=0")):
        with pytest.raises(ValueError, match=says):
            sde.predictor_corrector(score, size=size, corrections=corrections)
    for tolerance, most, says in (
        (0.0, 10, "tolerance > 0"),
        (np.nan, 10, "tolerance > 0"),
        (0.1, 0, "got max_steps=0"),
    ):
        with pytest.raises(ValueError, match=says):
            sde.integrate(OU, jax.random.key(0), x, tolerance=tolerance, max_steps=most)


def test_a_process_that_is_not_finite_is_told():
    """The adaptive solver warns, and gives NaN for what did not converge."""
    broken = sde.SDE(lambda x, t: jnp.nan * x, lambda x, t: jnp.zeros(()))
    with pytest.warns(UserWarning, match="2 of 2 trajectories did not converge"):
        found = sde.integrate(broken, jax.random.key(0), jnp.ones((2, 1)), max_steps=64)
    assert np.isnan(found.x).all() and not found.converged.any()


def test_a_mixture_keeps_its_components_along_the_flow():
    """In 1-D paths of the flow never cross, so that order is kept; paths of the SDE cross."""
    mixture = GaussianMixture(np.array([0.3, 0.7]), np.array([[-2.0], [1.0]]), np.array([[[0.1]], [[0.2]]]))
    schedule = schedules.OrnsteinUhlenbeck(4.0)
    process = sde.of_schedule(schedule)
    x_0 = jnp.sort(mixture.sample(jax.random.key(16), 300), 0)
    flow = sde.ordinary(sde.probability_flow(process, lambda x, t: mixture.score(schedule, x, t)))
    ordered = sde.simulate(flow, jax.random.key(0), x_0, grid(16), method="heun", substeps=16)
    crossed = sde.simulate(process, jax.random.key(17), x_0, grid(16), substeps=16)
    assert (np.diff(ordered[..., 0], axis=1) > -1e-5).all()
    assert (np.diff(crossed[-1, :, 0]) < 0).mean() > 0.3
