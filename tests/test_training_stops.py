"""Training that is stopped: by its end, by NaN, by a signal; and what a run that goes on from there becomes."""

import os
import signal
import subprocess
import sys
import threading
import time

import jax
import jax.numpy as jnp
import optax
import pytest
from descent import digest, noise_batch, quadratic, state_of

from ddjax import training
from ddjax.training import checkpoints, signals


@pytest.fixture(autouse=True)
def no_signal_is_ignored():
    """SIGHUP as a terminal leaves it: under nohup it is ignored, and a run keeps it so."""
    ignored = [number for number in signals.STOPS if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


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


@pytest.mark.parametrize("poison", ["gradient", "update", "average"])
def test_what_the_loss_does_not_show_is_noticed_before_it_is_saved(tmp_path, poison):
    """From step 23 on a gradient is NaN, an update infinite, or the average NaN, while the loss stays finite.

    Mutations: ask the loss alone; ask the state after saving it.
    """
    optimizer = optax.sgd(0.1)
    train_step = training.make_train_step(quadratic, optimizer)

    def poisoned(state, batch):
        late = state.step >= 23
        after, metrics = train_step(state, batch)
        if poison == "gradient":
            metrics |= {"grad_norm": jnp.where(late, jnp.inf, metrics["grad_norm"])}
        elif poison == "update":  # of a parameter that the loss does not read
            after = after._replace(params=after.params | {"unread": jnp.where(late, jnp.inf, after.params["unread"])})
        else:
            after = after._replace(ema=after.ema | {"w": jnp.where(late, jnp.nan, after.ema["w"])})
        return after, metrics

    told = {
        "gradient": "^the gradient norm is inf at step 23; last",
        "update": "^the parameters and averaged parameters are not finite after step 29; last",
        "average": "^the averaged parameters are not finite after step 29; last",
    }[poison]
    options = {"steps": 60, "chunk": 10, "save_every": 10, "label": None}
    with checkpoints.manager(tmp_path / "run") as manager:
        with pytest.raises(FloatingPointError, match=f"{told} good checkpoint: 20$"):
            training.fit(start(), poisoned, noise_batch, checkpoints=manager, **options)
        state = checkpoints.restore(manager, start())
        assert int(state.step) == 20 and all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(state.params))
    with pytest.raises(FloatingPointError, match=f"{told} good checkpoint: none$"):
        training.fit(start(), poisoned, noise_batch, **options)


def start():
    return training.TrainState.create({"w": jnp.ones(2), "unread": jnp.ones(())}, optax.sgd(0.1), jax.random.key(0))


def test_an_optimizer_may_begin_with_an_infinite_number():
    """`reduce_on_plateau` remembers the best value so far, which begins infinite. Mutation: refuse any infinity."""
    optimizer = optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau())

    def ignoring_value(updates, state, params):
        return optimizer.update(updates, state, params, value=jnp.inf)

    train_step = training.make_train_step(quadratic, optax.GradientTransformation(optimizer.init, ignoring_value))
    assert int(training.fit(state_of(optimizer), train_step, noise_batch, steps=3, label=None).step) == 3


@pytest.mark.parametrize("signum", signals.STOPS, ids=lambda signum: signum.name)
@pytest.mark.parametrize("at", [30, 100, "visit"])
def test_signals_save_and_raise(tmp_path, signum, at):
    """In the middle the chunk is finished; in the last chunk, or while the last state is visited, the run does not end as a
    success. A stop in the middle does not wait for a visit. The old handlers are back. Mutations: raise for step < steps only; look
    once, before the visit; visit wherever it is saved.
    """
    optimizer = optax.sgd(0.1)
    train_step = training.make_train_step(quadratic, optimizer)
    before, visited = [signal.getsignal(number) for number in signals.STOPS], []

    def log(step, _):
        if step == at:
            os.kill(os.getpid(), signum)

    def visit(state):
        visited.append(int(state.step))
        if at == "visit" and int(state.step) == 100:
            os.kill(os.getpid(), signum)

    with checkpoints.manager(tmp_path / "run") as manager:
        with pytest.raises(
            training.Interrupted, match=rf"^stopped by {signum.name} at step (\d+): saved at step \1$"
        ) as stop:
            training.fit(
                state_of(optimizer),
                train_step,
                noise_batch,
                steps=100,
                chunk=10,
                save_every=50,
                checkpoints=manager,
                log=log,
                visit=visit,
                label=None,
            )
        assert stop.value.signum == signum and stop.value.saved
        assert 30 <= stop.value.step <= 50 if at == 30 else stop.value.step == 100
        assert visited == [step for step in (50, 100) if step <= stop.value.step]
        assert int(checkpoints.restore(manager, state_of(optimizer)).step) == stop.value.step
    assert [signal.getsignal(number) for number in signals.STOPS] == before


def test_a_signal_that_comes_too_late_is_passed_on(monkeypatch):
    """Between the last look and the end of `fit`. Mutation: drop what nobody answered."""
    heard = []
    before = signal.signal(signal.SIGUSR1, lambda signum, _: heard.append(signum))
    try:
        with signals.noted(told=False):
            os.kill(os.getpid(), signal.SIGUSR1)
            assert not heard
        assert heard == [signal.SIGUSR1]
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_second_ctrl_c_ends_at_once_while_compiled_code_runs():
    """The interpreter hears nothing in a call that never returns to it; the kernel does. Mutation: leave it to Python."""
    code = """
import collections, itertools
from ddjax.training import signals
with signals.noted(told=True):
    print("ready", flush=True)
    collections.deque(itertools.count(), maxlen=0)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == -signal.SIGINT
    finally:
        process.kill()
        process.communicate()


def test_without_checkpoints_nothing_is_said_to_be_saved():
    """Mutation: "saved at step" whatever is kept."""
    optimizer = optax.sgd(0.1)
    train_step = training.make_train_step(quadratic, optimizer)
    with pytest.raises(training.Interrupted, match=r"stopped by SIGTERM at step \d+: nothing is saved") as stop:
        training.fit(state_of(optimizer), train_step, noise_batch, steps=1000, chunk=10, save_every=500, label=None,
                     log=lambda *_: os.kill(os.getpid(), signal.SIGTERM))  # fmt: skip
    assert not stop.value.saved


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
