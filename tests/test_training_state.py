"""Training: the step, the average, the keys."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from descent import quadratic, state_of

from ddjax import training


def test_a_step_is_gradient_descent_and_the_average_follows():
    """Against the update by hand. Mutations: gradient at the average, decay and 1 - decay swapped, no step count."""
    optimizer = optax.sgd(0.1)
    train_step = training.make_train_step(quadratic, optimizer, ema_decay=0.5)
    batch = jnp.array([[1.0, 1.0], [3.0, -1.0]])
    w = ema = np.array([1.0, -2.0])
    state = state_of(optimizer)
    for step in range(12):
        state, metrics_ = train_step(state, batch)
        gradient = w - np.array([2.0, 0.0])
        np.testing.assert_allclose(metrics_["grad_norm"], np.linalg.norm(gradient), rtol=1e-5)
        w = w - 0.1 * gradient
        decay = min(0.5, (1 + step) / (10 + step))
        ema = decay * ema + (1 - decay) * w
        np.testing.assert_allclose(state.params["w"], w, rtol=1e-5)
        np.testing.assert_allclose(state.ema["w"], ema, rtol=1e-5)
    assert int(state.step) == 12


def test_the_average_forgets_its_start():
    """After 300 steps with decay .999 less than 1e-6 of the start is left; a plain average would keep 74 percent."""
    optimizer = optax.set_to_zero()
    train_step = jax.jit(training.make_train_step(quadratic, optimizer, ema_decay=0.999))
    state = state_of(optimizer)._replace(ema={"w": jnp.array([1e3, 1e3])})
    for _ in range(300):
        state, _ = train_step(state, jnp.zeros((2, 2)))
    np.testing.assert_allclose(state.ema["w"], state.params["w"], atol=1e-2)


def test_other_averages_are_those_of_their_own_trainings():
    """One state of three decays holds, bit for bit, what three trainings hold. Mutations: the first decay for all; swapped."""
    decays, batch = (0.5, 0.9, 0.0), jnp.array([[1.0, 1.0], [3.0, -1.0]])
    states = []
    for given in (decays, *((decay,) for decay in decays)):
        train_step = jax.jit(
            training.make_train_step(quadratic, optax.sgd(0.1), ema_decay=given[0], other_decays=given[1:])
        )
        state = training.TrainState.create(
            {"w": jnp.array([1.0, -2.0])}, optax.sgd(0.1), jax.random.key(0), others=len(given) - 1
        )
        for _ in range(12):
            state, _ = train_step(state, batch)
        states.append(state)
    together, *alone = states
    for average, state in zip(together.averages, alone, strict=True):
        np.testing.assert_array_equal(average["w"], state.ema["w"])
    assert len({float(average["w"][0]) for average in together.averages}) == 3
    with pytest.raises(ValueError, match="a state of 3 averages has as many decays, got"):
        train_step(together, batch)


def test_keys_differ_by_step_and_by_use():
    """Mutations: folding a constant, one key for batch and loss."""
    state = state_of(optax.sgd(0.1))
    keys = [state._replace(step=jnp.asarray(step, jnp.int32)).keys() for step in range(3)]
    data = {tuple(np.asarray(jax.random.key_data(key))) for pair in keys for key in pair}
    assert len(data) == 6


def test_bad_decay_is_refused():
    with pytest.raises(ValueError, match="ema_decay"):
        training.make_train_step(quadratic, optax.sgd(0.1), ema_decay=1.0)
    with pytest.raises(ValueError, match="other_decays"):
        training.make_train_step(quadratic, optax.sgd(0.1), other_decays=(0.9, -0.1))
