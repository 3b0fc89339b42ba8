"""Weights against their definitions; that they weight examples is shown in test_objectives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close
from numpy.testing import assert_array_equal as same

from ddjax import schedules, weights

TIMES = np.linspace(0.02, 0.98, 25)


@pytest.mark.parametrize("bias", [0.0, 1.5])
def test_sigmoid_is_the_share_of_signal(x64, schedule, bias):
    """alpha^2 / (alpha^2 + e^bias sigma^2).

    Fails for a flipped sign, or log(alpha / sigma) without the square.
    """
    t = jnp.asarray(TIMES)
    alpha, sigma = jax.vmap(schedule)(t)
    expected = alpha**2 / (alpha**2 + np.exp(bias) * sigma**2)
    close(jax.vmap(weights.sigmoid(schedule, bias=bias))(t), expected, rtol=1e-12)


def test_snr_makes_regression_on_x_0_regression_on_the_noise(x64, schedule):
    """||noise - n||^2 = w ||x_0 - D||^2 for D that belongs to n. Fails for alpha / sigma without the square."""
    x_0, noise, guess = 0.7, -0.4, 0.9
    for t in TIMES:
        alpha, sigma = schedule(t)
        d = (alpha * x_0 + sigma * noise - sigma * guess) / alpha
        close(weights.snr(schedule)(t) * (x_0 - d) ** 2, (noise - guess) ** 2, rtol=1e-9)


def test_sigmoid_keeps_data_and_starves_noise():
    """Fails where an infinite logsnr becomes NaN."""
    for schedule in (schedules.Rectified(), schedules.Cosine()):
        weight = weights.sigmoid(schedule, bias=0.7)
        assert (weight(0.0), weight(1.0)) == (1.0, 0.0)


def test_uniform_is_one_everywhere():
    t = jnp.asarray(TIMES, jnp.float32)
    same(jax.vmap(weights.uniform)(t), np.ones(25))
