"""Training that is stopped: by its end, by NaN, by a signal; and what a run that goes on from there becomes."""

import os
import signal
import threading

import jax.numpy as jnp
import optax
import pytest
from descent import digest, noise_batch, quadratic, state_of

from ddjax import training
from ddjax.training import checkpoints


def test_resume_equals_uninterrupted_by_hash(tmp_path):
    """Stopping at 20 of 40 and resuming from the checkpoint gives the same bytes in every leaf."""
    optimizer = optax.adam(0.05)
    train_step = training.make_train_step(quadratic, optimizer)
    whole = training.fit(state_of(optimizer), train_step, noise_batch, steps=40, chunk=10, save_every=20, label=None)
    with checkpoints.manager(tmp_path / "run") as manager:
        training.fit(
            state_of(optimizer),
            train_step,
            noise_batch,
            steps=20,
            chunk=10,
            save_every=20,
            checkpoints=manager,
            label=None,
        )
    with checkpoints.manager(tmp_path / "run") as manager:
        state = checkpoints.restore(manager, state_of(optimizer, seed=9))
        assert int(state.step) == 20
        state = training.fit(
            state, train_step, noise_batch, steps=40, chunk=10, save_every=20, checkpoints=manager, label=None
        )
    assert digest(state) == digest(whole)


def test_nan_stops_with_the_step_and_keeps_the_last_good_checkpoint(tmp_path):
    """The batch turns NaN from step 23 on: told by number, and the checkpoint of step 20 is what stays."""
    optimizer = optax.sgd(0.1)
    train_step = training.make_train_step(quadratic, optimizer)

    def poisoned(state, batch):
        return train_step(state, jnp.where(state.step >= 23, jnp.nan, batch))

    with checkpoints.manager(tmp_path / "run") as manager:
        with pytest.raises(FloatingPointError, match="nan at step 23; last good checkpoint: 20"):
            training.fit(
                state_of(optimizer),
                poisoned,
                noise_batch,
                steps=60,
                chunk=10,
                save_every=10,
                checkpoints=manager,
                label=None,
            )
        assert int(checkpoints.restore(manager, state_of(optimizer)).step) == 20


def test_sigterm_saves_and_raises(tmp_path):
    """SIGTERM in the middle: the chunk is finished, saved, and Interrupted says where; the old handler is back."""
    optimizer = optax.sgd(0.1)
    train_step = training.make_train_step(quadratic, optimizer)
    before = signal.getsignal(signal.SIGTERM)

    def log(step, _):
        if step == 30:
            os.kill(os.getpid(), signal.SIGTERM)

    with checkpoints.manager(tmp_path / "run") as manager:
        with pytest.raises(training.Interrupted) as stop:
            training.fit(
                state_of(optimizer),
                train_step,
                noise_batch,
                steps=1000,
                chunk=10,
                save_every=500,
                checkpoints=manager,
                log=log,
                label=None,
            )
        assert 30 <= stop.value.step <= 50
        assert int(checkpoints.restore(manager, state_of(optimizer)).step) == stop.value.step
    assert signal.getsignal(signal.SIGTERM) is before


def test_fit_runs_in_a_thread():
    """Python allows signal handlers in the main thread only; fit elsewhere must not try."""
    optimizer = optax.sgd(0.1)
    results = []
    thread = threading.Thread(
        target=lambda: results.append(
            training.fit(
                state_of(optimizer),
                training.make_train_step(quadratic, optimizer),
                noise_batch,
                steps=10,
                chunk=10,
                label=None,
            )
        )
    )
    thread.start()
    thread.join()
    assert int(results[0].step) == 10
