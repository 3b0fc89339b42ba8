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


def test_variance_is_the_weight_of_the_noise_in_scores(x64, schedule):
    """sigma^2 is what `snr` is in x_0; and w |x_0 - D|^2 = on_scores(w) |score + noise / sigma|^2 for every w.

    Mutations: sigma for sigma^2, sigma^2 / alpha^2 for sigma^4 / alpha^2.
    """
    x_0, noise, d = 0.7, -0.4, 0.9
    for t in TIMES:
        alpha, sigma = schedule(t)
        close(weights.on_scores(schedule, weights.snr(schedule))(t), weights.variance(schedule)(t), rtol=1e-9)
        score = (alpha * d - (alpha * x_0 + sigma * noise)) / sigma**2
        for weight in (weights.edm(schedule, data_std=0.3), weights.sigmoid(schedule), weights.uniform):
            in_scores = weights.on_scores(schedule, weight)(t) * (score + noise / sigma) ** 2
            close(in_scores, weight(t) * (x_0 - d) ** 2, rtol=1e-9)


def test_edm_undoes_the_scale_of_its_output(x64):
    """w c_out^2 = 1 with c_out = sigma data_std / sqrt(sigma^2 + data_std^2), on unscaled data and, with sigma / alpha for
    sigma, on scaled. Mutations: data_std^2 for 1 / data_std^2, sigma of the scaled data.
    """
    for schedule in (schedules.VarianceExploding(0.02, 20.0), schedules.Cosine()):
        for t in TIMES:
            alpha, sigma = schedule(t)
            c_out = sigma / alpha * 0.3 / np.hypot(sigma / alpha, 0.3)
            close(weights.edm(schedule, data_std=0.3)(t) * c_out**2, 1, rtol=1e-9)
    with pytest.raises(ValueError, match=r"data_std=0\.0"):
        weights.edm(schedules.Cosine(), data_std=0.0)


def test_likelihood_is_the_diffusion_of_the_sde(x64):
    """g^2 = g of an Ornstein-Uhlenbeck process, beta(t) of the variance-preserving, d sigma^2 / dt of the exploding one.

    Mutations: sigma' for sigma sigma', + for -, no 2.
    """
    exploding = schedules.VarianceExploding(0.02, 20.0)
    for t in TIMES:
        close(weights.likelihood(schedules.OrnsteinUhlenbeck(7.0))(t), 7, rtol=1e-9)
        close(weights.likelihood(schedules.VariancePreserving(0.1, 20.0))(t), 0.1 + 19.9 * t, rtol=1e-9)
        close(weights.likelihood(exploding)(t), 2 * np.log(1000) * exploding(t).sigma ** 2, rtol=1e-9)
    close(weights.likelihood(schedules.OrnsteinUhlenbeck(7.0))(0.0), 7, rtol=1e-6)
