"""The bridge: its two identities, its composition, and the Gaussian posterior it must equal."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import SCHEDULES
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose as close
from numpy.testing import assert_array_equal as same

from ddjax import paths, schedules

any_schedule = st.sampled_from(SCHEDULES)
any_time = st.floats(0.01, 0.99)
any_churn = st.floats(0.0, 1.0)
WITH_DATA_END = tuple(s for s in SCHEDULES if float(s(0.0).sigma) == 0)


@functools.partial(jax.jit, static_argnums=0)
def coefficients(schedule, t, s, churn):
    """c_0, c_t, std of the bridge, read off unit ends."""
    (c_0, c_t), std = paths.bridge(schedule, jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]), t, s, churn=churn)
    return c_0, c_t, std


def scales(schedule, t):
    """alpha and sigma in float64."""
    with jax.enable_x64(True):
        return tuple(map(float, schedule(t)))


@given(any_schedule, any_time, st.floats(0.0, 0.999), any_churn)
def test_both_identities_hold(x64, schedule, t, fraction, churn):
    """c_t alpha_t + c_0 = alpha_s and c_t^2 sigma_t^2 + std^2 = sigma_s^2: marginals are kept.

    Fails for squared sigma ratios in r, churn not squared, or alpha ratios of the wrong power (trap 1).
    """
    s = t * fraction
    (alpha_t, sigma_t), (alpha_s, sigma_s) = scales(schedule, t), scales(schedule, s)
    c_0, c_t, std = coefficients(schedule, t, s, churn)
    close(c_t * alpha_t + c_0, alpha_s, rtol=1e-12)
    close(c_t**2 * sigma_t**2 + std**2, sigma_s**2, rtol=1e-12)
    assert 0 <= c_0 <= alpha_s
    assert 0 <= std <= sigma_s


@given(any_schedule, st.lists(any_time, min_size=3, max_size=3, unique=True), st.sampled_from([0.0, 1.0]))
def test_two_bridges_in_a_row_are_one(x64, schedule, times, churn):
    """t -> u -> s equals t -> s in mean and variance: Markov at churn 1, a deterministic flow at churn 0."""
    s, u, t = sorted(times)
    first_0, first_t, first_std = coefficients(schedule, t, u, churn)
    then_0, then_u, then_std = coefficients(schedule, u, s, churn)
    composed = (then_0 + then_u * first_0, then_u * first_t, np.hypot(then_u * first_std, then_std))
    close(composed, coefficients(schedule, t, s, churn), rtol=1e-9, atol=1e-9)


def posterior(schedule, t, s):
    """c_0, c_t, std by conditioning x_s ~ N(alpha_s x_0, sigma_s^2) on x_t = F x_s + N(0, Q), in float64."""
    (alpha_t, sigma_t), (alpha_s, sigma_s) = scales(schedule, t), scales(schedule, s)
    forward = alpha_t / alpha_s
    q = sigma_t**2 - forward**2 * sigma_s**2
    gain = sigma_s**2 * forward / (forward**2 * sigma_s**2 + q)
    return alpha_s - gain * alpha_t, gain, np.sqrt((1 - gain * forward) * sigma_s**2)


@given(any_schedule, any_time, st.floats(0.0, 0.999))
def test_churn_1_is_the_exact_posterior_and_churn_0_has_no_noise(x64, schedule, t, fraction):
    s = t * fraction
    expected = posterior(schedule, t, s)
    close(coefficients(schedule, t, s, 1.0), expected, rtol=1e-7, atol=1e-9)
    assert coefficients(schedule, t, s, 0.0)[2] == 0


@pytest.mark.parametrize("gap", [0.3, 1e-2, 1e-3])
def test_float32_keeps_its_digits_near_t(schedule, gap):
    """Relative error below 1e-6 / (1 - r), the conditioning of r itself.

    Fails for 1e-5 added to a denominator.
    """
    for t in (0.35, 0.6, 0.97):
        s = float(np.float32(t - gap))
        with jax.enable_x64(True):
            expected = np.asarray(coefficients(schedule, float(np.float32(t)), s, 0.8))
        close(coefficients(schedule, jnp.float32(t), s, 0.8), expected, rtol=1e-6 / gap)


def test_neighbouring_floats_make_no_nan(schedule):
    """Fails without the clip of 1 - r, which rounding makes negative."""
    t = np.linspace(0.001, 1.0, 4001, dtype=np.float32)
    s = np.nextafter(t, np.float32(0))
    found = jax.vmap(lambda t, s: coefficients(schedule, t, s, 1.0))(jnp.asarray(t), jnp.asarray(s))
    assert np.isfinite(found).all()


@pytest.mark.parametrize("churn", [0.0, 0.4, 1.0])
def test_s_0_returns_x_0_and_noise_at_t_1_needs_no_epsilon(churn):
    """Fails for an epsilon in a denominator, or 0/0 where alpha(1) = 0."""
    x_0, x_t = jnp.array([1.25, -3.0, 0.1]), jnp.array([-0.7, 0.2, 5.0])
    for schedule in WITH_DATA_END:
        mean, std = paths.bridge(schedule, x_0, x_t, 0.6, 0.0, churn=churn)
        same(mean, x_0)
        assert std == 0
    for schedule in (schedules.Rectified(), schedules.Cosine()):
        mean, std = paths.bridge(schedule, x_0, x_t, 1.0, 0.3, churn=churn)
        alpha, sigma = scales(schedule, 0.3)
        close(mean, alpha * x_0 + sigma * (1 - churn**2) * x_t, rtol=1e-6)
        close(std, sigma * np.sqrt(1 - (1 - churn**2) ** 2), rtol=1e-6)


def test_a_schedule_of_vectors_bridges_each_coordinate(x64):
    """Fails where a scale is taken to be a scalar."""
    rates = np.array([0.5, 2.0, 9.0])
    together = lambda t: schedules.Scales(jnp.exp(-rates * t / 2), jnp.sqrt(-jnp.expm1(-rates * t)))  # noqa: E731
    x_0, x_t = jnp.array([1.0, -2.0, 0.3]), jnp.array([0.2, 0.5, -1.5])
    mean, std = paths.bridge(together, x_0, x_t, 0.8, 0.3, churn=0.6)
    for i, rate in enumerate(rates):
        c_0, c_t, alone = coefficients(schedules.OrnsteinUhlenbeck(float(rate)), 0.8, 0.3, 0.6)
        close((mean[i], std[i]), (c_0 * x_0[i] + c_t * x_t[i], alone), rtol=1e-12)


def test_interpolation_and_prior_are_the_two_ends_of_the_forward_process(schedule):
    """Fails for exchanged ends, or a prior of std 1 where sigma(1) is 20."""
    x_0, noise = jnp.array([2.0, -0.5]), jnp.array([0.25, 3.0])
    alpha, sigma = scales(schedule, 0.3)
    close(paths.interpolate(schedule, x_0, noise, 0.3), alpha * x_0 + sigma * noise, rtol=2e-6)
    draws = np.asarray(paths.prior(schedule, jax.random.key(0), (2000, 3)), np.float64)
    variance = scales(schedule, 1.0)[1] ** 2
    assert abs(draws.mean()) < 4 * np.sqrt(variance / 6000)
    assert abs((draws**2).mean() - variance) < 4 * variance * np.sqrt(2 / 6000)


@pytest.mark.parametrize(("t", "s", "churn"), [(0.5, 0.5, 1.0), (0.3, 0.5, 1.0), (0.5, 0.3, 1.01), (0.5, 0.3, -0.1)])
def test_impossible_steps_are_refused(t, s, churn):
    with pytest.raises(ValueError, match="got "):
        paths.bridge(schedules.Rectified(), jnp.ones(2), jnp.ones(2), t, s, churn=churn)
