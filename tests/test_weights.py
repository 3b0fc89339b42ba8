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


def test_sigmoid_keeps_data_and_starves_noise():
    """Fails where an infinite logsnr becomes NaN."""
    for schedule in (schedules.Rectified(), schedules.Cosine()):
        weight = weights.sigmoid(schedule, bias=0.7)
        assert (weight(0.0), weight(1.0)) == (1.0, 0.0)


def test_uniform_is_one_everywhere():
    t = jnp.asarray(TIMES, jnp.float32)
    same(jax.vmap(weights.uniform)(t), np.ones(25))
