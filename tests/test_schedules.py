"""Schedules against their closed forms, written again in float64 NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close
from numpy.testing import assert_array_equal as same

from ddjax import paths, schedules
from ddjax.schedules import (
    DDPM,
    Cosine,
    OrnsteinUhlenbeck,
    Rectified,
    SubVariancePreserving,
    VarianceExploding,
    VariancePreserving,
)

TIMES = np.linspace(0.01, 0.99, 23)


def decaying(integral, rate):
    """alpha, sigma, alpha', sigma' of a process with integrated rate and rate."""
    alpha, sigma = np.exp(-integral / 2), np.sqrt(-np.expm1(-integral))
    return alpha, sigma, -rate / 2 * alpha, rate * alpha**2 / (2 * sigma)


def below(integral, rate):
    """As `decaying`, with sigma = 1 - alpha^2."""
    alpha, sigma = np.exp(-integral / 2), -np.expm1(-integral)
    return alpha, sigma, -rate / 2 * alpha, rate * alpha**2


def exploding(t, low=0.02, high=20.0):
    sigma = low * (high / low) ** t
    return np.ones_like(t), sigma, 0 * t, sigma * np.log(high / low)


def chain(t, betas):
    """A product of whole factors, and a power of the next one."""
    k = np.floor(t * len(betas)).astype(int)  # no time of the tests is a step, where the rates jump
    rates = -np.log(1 - betas)[k]
    whole = np.array([np.prod(1 - betas[:whole]) for whole in k])
    return decaying(-np.log(whole) + (t * len(betas) - k) * rates, rates * len(betas))


HALF = np.pi / 2
CLOSED = {
    Rectified(): lambda t: (1 - t, t, -1 + 0 * t, 1 + 0 * t),
    Cosine(): lambda t: (
        np.cos(HALF * t),
        np.sin(HALF * t),
        -HALF * np.sin(HALF * t),
        HALF * np.cos(HALF * t),
    ),
    VariancePreserving(): lambda t: decaying(0.1 * t + 9.95 * t**2, 0.1 + 19.9 * t),
    VariancePreserving(0.3, 5.0): lambda t: decaying(0.3 * t + 2.35 * t**2, 0.3 + 4.7 * t),
    SubVariancePreserving(0.3, 5.0): lambda t: below(0.3 * t + 2.35 * t**2, 0.3 + 4.7 * t),
    VarianceExploding(0.02, 20.0): exploding,
    DDPM(7, 0.01, 0.5): lambda t: chain(t, np.linspace(0.01, 0.5, 7)),
    DDPM(997): lambda t: chain(t, np.linspace(1e-4, 0.02, 997)),
    OrnsteinUhlenbeck(7.0): lambda t: decaying(7 * t, 7.0),
    OrnsteinUhlenbeck(lambda t: 3 * jnp.exp(t)): lambda t: decaying(3 * np.expm1(t), 3 * np.exp(t)),
}


@pytest.mark.parametrize("schedule", CLOSED, ids=lambda s: type(s).__name__)
def test_scales_and_rates_are_the_closed_forms(x64, schedule):
    """Fails when a constant, a sign or a square changes, or when the rates come from another time."""
    scales, rates = jax.vmap(lambda t: schedules.with_rates(schedule, t))(jnp.asarray(TIMES))
    close([*scales, *rates], np.broadcast_arrays(*CLOSED[schedule](TIMES)), rtol=1e-11, atol=1e-13)
    same(jax.vmap(schedule)(jnp.asarray(TIMES)), scales)


@pytest.mark.parametrize("schedule", [Cosine(), VariancePreserving(), OrnsteinUhlenbeck(), OrnsteinUhlenbeck(jnp.cosh)])
def test_variance_is_preserved(x64, schedule):
    alpha, sigma = jax.vmap(schedule)(jnp.asarray(TIMES))
    close(alpha**2 + sigma**2, 1, rtol=1e-13)


def test_the_chain_of_ddpm_has_its_posterior(x64):
    """beta~ and mu~ of Ho et al., eq. (7), are the bridge at churn 1 from every step to the one before; abar_T < 1e-4.

    Fails for a table that begins with beta_1 at t = 0.
    """
    schedule, betas = DDPM(), np.linspace(1e-4, 0.02, 1000)
    bars = np.cumprod(1 - betas)
    assert bars[-1] < 1e-4
    x_0, x_t = jnp.asarray([0.3]), jnp.asarray([-1.2])
    for k in (2, 3, 50, 500, 1000):
        mean, std = paths.bridge(schedule, x_0, x_t, k / 1000, (k - 1) / 1000, churn=1.0)
        beta, bar, before = betas[k - 1], bars[k - 1], bars[k - 2]
        expected = (np.sqrt(before) * beta * x_0 + np.sqrt(1 - beta) * (1 - before) * x_t) / (1 - bar)
        close(mean, expected, rtol=1e-9)
        close(std**2, (1 - before) / (1 - bar) * beta, rtol=1e-9)
    close(paths.bridge(schedule, x_0, x_t, 1 / 1000, 0.0, churn=1.0)[0], x_0, rtol=1e-12)


def test_ornstein_uhlenbeck_generalises_variance_preserving(x64):
    """Fails when the quadrature loses a factor of the interval or a node."""
    cases = [
        (OrnsteinUhlenbeck(lambda t: 0.2 + 3.8 * t), VariancePreserving(0.2, 4.0)),
        (OrnsteinUhlenbeck(lambda t: 7.0 + 0 * t), OrnsteinUhlenbeck(7.0)),
    ]
    for general, special in cases:
        close(*(jax.vmap(s)(jnp.asarray(TIMES)) for s in (general, special)), rtol=1e-13)


@pytest.mark.parametrize("schedule", CLOSED, ids=lambda s: type(s).__name__)
def test_float32_keeps_its_digits_down_to_tiny_times(schedule):
    """Fails for sigma^2 = 1 - alpha^2, which has no digits left at t = 1e-6."""
    times = np.geomspace(1e-6, 0.9, 40)
    scales = jax.vmap(schedule)(jnp.asarray(times, jnp.float32))
    close(scales, CLOSED[schedule](times)[:2], rtol=5e-6)


def test_ends_are_exact_and_logsnr_is_never_nan():
    """Fails for alpha = cos(pi t / 2), which is -4e-8 at t = 1 in float32 and makes logsnr NaN."""
    for schedule in (Rectified(), Cosine()):
        assert schedule(1.0) == (0.0, 1.0)
        assert schedules.logsnr(schedule, 1.0) == -jnp.inf
    for schedule in (Rectified(), Cosine(), VariancePreserving(), OrnsteinUhlenbeck(7.0)):
        assert schedule(0.0) == (1.0, 0.0)
        assert schedules.logsnr(schedule, 0.0) == jnp.inf
    assert VarianceExploding(0.02, 20.0)(0.0) == (1.0, jnp.float32(0.02))


def test_logsnr_is_its_definition_and_falls(x64, schedule):
    values = jax.vmap(lambda t: schedules.logsnr(schedule, t))(jnp.asarray(TIMES))
    alpha, sigma = CLOSED[schedule](TIMES)[:2]
    close(values, np.log(alpha**2 / sigma**2), rtol=1e-11, atol=1e-14)
    assert (np.diff(values) < 0).all()


def test_schedules_are_values():
    """They can be compared, hashed (as static arguments of jit) and read back from their repr."""
    made = [*CLOSED][:-1]
    for schedule in made:
        copy = eval(repr(schedule))
        assert copy == schedule
        assert hash(copy) == hash(schedule)
    assert len(set(made)) == len(made)


@pytest.mark.parametrize(
    "make",
    [
        lambda: VariancePreserving(0.0, 1.0),
        lambda: DDPM(0),
        lambda: DDPM(beta_last=1.0),
        lambda: DDPM(beta_first=0.1, beta_last=0.01),
        lambda: VariancePreserving(2.0, 1.0),
        lambda: SubVariancePreserving(2.0, 1.0),
        lambda: VarianceExploding(0.0, 1.0),
        lambda: VarianceExploding(1.0, 1.0),
        lambda: OrnsteinUhlenbeck(0.0),
        lambda: OrnsteinUhlenbeck(float("nan")),
    ],
)
def test_impossible_parameters_are_refused(make):
    with pytest.raises(ValueError, match=r"got (self\.)?\w+="):
        make()
