"""All 25 conversions against the definitions of the five kinds, from known x_0 and noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close

from ddjax import predictions, schedules

KINDS = ("x0", "noise", "v", "velocity", "score")
X_0 = np.array([[2.0, -0.3, 0.7], [-1.1, 0.05, 4.0]])
NOISE = np.array([[0.4, 1.7, -0.2], [0.9, -2.5, 0.1]])


def definitions(schedule, t, step=1e-6):
    """x_t, and every kind by its definition; rates by central differences."""
    alpha, sigma = map(float, schedule(t))
    (alpha_up, sigma_up), (alpha_down, sigma_down) = schedule(t + step), schedule(t - step)
    alpha_rate, sigma_rate = float(alpha_up - alpha_down) / 2 / step, float(sigma_up - sigma_down) / 2 / step
    values = {
        "x0": X_0,
        "noise": NOISE,
        "v": alpha * NOISE - sigma * X_0,
        "velocity": alpha_rate * X_0 + sigma_rate * NOISE,
        "score": -NOISE / sigma,
    }
    return alpha * X_0 + sigma * NOISE, values


@pytest.mark.parametrize("t", [0.07, 0.5, 0.93])
def test_every_kind_reads_as_every_other(x64, schedule, t):
    """Fails for a flipped sign in a row, exchanged p and q, or sigma^2 in the score."""
    x_t, values = definitions(schedule, t)

    def there_and_back(x_t, value):
        for source in KINDS:
            for target in KINDS:
                read = predictions.convert(schedule, x_t, t, value[source], source=source, target=target)
                back = predictions.convert(schedule, x_t, t, read, source=target, target=source)
                yield (read, value[target]), (back, value[source])

    for (read, expected), (back, value) in jax.jit(lambda *a: [*there_and_back(*a)])(jnp.asarray(x_t), values):
        close(read, expected, rtol=1e-6, atol=1e-7 * np.abs(expected).max())
        close(back, value, rtol=1e-9, atol=1e-9)


def test_ends_are_exact_where_the_source_determines_the_target():
    """Fails for an epsilon in the determinant."""
    x_0, noise = jnp.asarray(X_0, jnp.float32), jnp.asarray(NOISE, jnp.float32)
    for schedule in (schedules.Rectified(), schedules.Cosine()):
        assert (predictions.convert(schedule, noise, 1.0, x_0, source="x0", target="noise") == noise).all()
        assert (predictions.convert(schedule, x_0, 0.0, noise, source="noise", target="x0") == x_0).all()
        assert (predictions.convert(schedule, x_0, 0.0, noise, source="v", target="x0") == x_0).all()
    velocity = predictions.convert(schedules.Rectified(), noise, 1.0, x_0, source="x0", target="velocity")
    assert (velocity == noise - x_0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_itself_even_where_it_determines_nothing(kind):
    """Fails when the solve is done although nothing is to be solved: 0/0 at one of the ends."""
    value = jnp.asarray(NOISE, jnp.float32)
    for t in (0.0, 1.0):
        found = predictions.convert(schedules.Rectified(), 0 * value, t, value, source=kind, target=kind)
        assert (found == value).all()


@pytest.mark.parametrize("words", [{"source": "eps", "target": "x0"}, {"source": "x0", "target": "flow"}])
def test_unknown_kinds_are_refused(unchecked, words):
    with pytest.raises(ValueError, match="a prediction is one of"):
        predictions.convert(schedules.Rectified(), jnp.ones(2), 0.5, jnp.ones(2), **words)
