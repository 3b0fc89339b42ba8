"""What batches can come from: each kind is taken, or refused in a sentence that says what to give instead."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from descent import digest, noise_batch, quadratic, state_of

from ddjax import training
from ddjax.training import checkpoints

OPTIMIZER = optax.sgd(0.1)
TRAIN_STEP = training.make_train_step(quadratic, OPTIMIZER)
X = np.arange(20.0, dtype=np.float32).reshape(10, 2)


def fitted(batch, **options):
    return training.fit(state_of(OPTIMIZER), TRAIN_STEP, batch, steps=4, label=None, **options)


@pytest.mark.parametrize(
    ("batch", "told"),
    [
        (lambda key: X[jax.random.randint(key, (4,), 0, 10)], "gives a traced key or index to NumPy.*jnp.asarray"),
        (lambda key: X[jax.random.randint(key, (), 0, 10)][None], "gives a traced key or index to NumPy"),
        (lambda key: jnp.asarray([X.tolist()[jax.random.randint(key, (), 0, 10)]]), "gives a traced key or index"),
        (X, r"an array of shape \(10, 2\), not a way to draw from it: .*jax.random.choice.*data.batches"),
        (jnp.asarray(X), r"an array of shape \(10, 2\)"),
        ((X, np.zeros(10, np.int32)), r"an array of shape \(10, 2\)"),
        ([1, 2], r"batch must be a function key -> batch, .*iter\(loader\); got <class 'list'>"),
        (None, "got <class 'NoneType'>"),
    ],
)
def test_what_is_no_source_is_told_at_the_door(batch, told, unchecked):
    """Mutations: no look at the door; a traceback of tracers."""
    with pytest.raises(ValueError, match=told):
        fitted(batch)


def test_the_call_that_the_message_recommends_is_right():
    """`jax.random.choice(key, x, (size,))`: rows of x, drawn anew by key."""
    rows = jax.random.choice(jax.random.key(0), jnp.asarray(X), (4,))
    assert rows.shape == (4, 2) and all(row in X.tolist() for row in rows.tolist())
    assert int(fitted(lambda key: jax.random.choice(key, jnp.asarray(X), (4,))).step) == 4


def test_a_generator_is_a_source_that_cannot_be_resumed(tmp_path):
    """Its batches in their order; one that ends is told, and checkpoints are refused. Mutation: `StopIteration` goes through."""
    keys = [state_of(OPTIMIZER)._replace(step=jnp.asarray(step)).keys()[0] for step in range(4)]
    drawn = [np.asarray(noise_batch(key)) for key in keys]
    assert digest(fitted(batch for batch in drawn)) == digest(fitted(noise_batch, scanned=False))
    with pytest.raises(ValueError, match="ended after 3, before the last step"):
        fitted(iter(drawn[:3]))
    with checkpoints.manager(tmp_path / "run") as manager, pytest.raises(ValueError, match="cannot be resumed"):
        fitted(iter(drawn), checkpoints=manager)


@pytest.mark.parametrize(
    ("loss_fn", "told"),
    [
        (
            lambda params, key, batch: (np.mean(np.asarray(params["w"]) ** 2), {}),
            "loss_fn gives traced arrays to NumPy",
        ),
        (
            lambda params, key, batch: (jnp.sum(params["w"] ** 2), None),
            "got metrics of <class 'NoneType'>",
        ),
    ],
)
def test_a_loss_that_cannot_be_trained_is_told(loss_fn, told, unchecked):
    with pytest.raises(ValueError, match=told):
        training.fit(
            state_of(OPTIMIZER), training.make_train_step(loss_fn, OPTIMIZER), noise_batch, steps=1, label=None
        )


def test_the_loss_is_a_metric_of_every_step():
    """Whatever loss_fn tells. Mutation: leave it to loss_fn."""
    silent = training.make_train_step(lambda *given: (quadratic(*given)[0], {}), OPTIMIZER)
    state = state_of(OPTIMIZER)
    _, metrics = jax.jit(silent)(state, noise_batch(jax.random.key(3)))
    loss, _ = quadratic(state.params, None, noise_batch(jax.random.key(3)))
    np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-6)
