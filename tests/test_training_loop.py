"""Training: the loop, and the quality of a trained model."""

import io
import itertools
import re
import sys
import time
from types import SimpleNamespace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from descent import noise_batch, quadratic, state_of

from ddjax import denoisers, metrics, networks, objectives, paths, samplers, schedules, times, training
from ddjax.targets import two_gaussians
from ddjax.training.progress import progress
from ddjax.types import Network

SCHEDULE = schedules.Rectified()
MIXTURE = two_gaussians()


@pytest.mark.parametrize(("scanned", "traces"), [(True, 2), (False, 1)])
def test_fit_equals_a_python_loop_and_traces_once(scanned, traces):
    """Scanned chunks, a remainder included, give the parameters of single steps, and one trace for each length.

    So does dispatching step by step, with one trace in all. Mutation: metrics of the wrong chunk.
    """
    chex.clear_trace_counter()
    optimizer = optax.adam(0.05)
    counted = chex.assert_max_traces(training.make_train_step(quadratic, optimizer), n=traces)
    rows = []
    fitted = training.fit(
        state_of(optimizer),
        counted,
        noise_batch,
        steps=25,
        chunk=10,
        save_every=10,
        label=None,
        log=lambda *row: rows.append(row),
        scanned=scanned,
    )
    single = jax.jit(training.make_train_step(quadratic, optimizer))
    state, losses = state_of(optimizer), []
    for _ in range(25):
        state, row = single(state, noise_batch(state.keys()[0]))
        losses.append(float(row["loss"]))
    chex.assert_trees_all_close(fitted.params, state.params, rtol=1e-6)
    assert [step for step, _ in rows] == [10, 20, 25]
    np.testing.assert_allclose(
        [row["loss"] for _, row in rows],
        [np.mean(losses[a:b]) for a, b in ((0, 10), (10, 20), (20, 25))],
        rtol=1e-5,
    )


def test_convolutions_are_not_trained_inside_a_scan_on_a_cpu():
    """The quickest 5 fitted steps of a conv net take less than 5 times the quickest 5 bare ones; scanned, more than 20 times.

    Mutations: `may_scan` always True; `_dispatch` scanning its steps.
    """
    network = Network(lambda key: jax.random.normal(key, (3, 3, 16, 16)) / 12, lambda *_: None, convolutional=True)

    def loss_fn(params, key, batch):
        h = jax.lax.conv_general_dilated(batch, params, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        loss = jnp.mean((h - 1) ** 2)
        return loss, {"loss": loss}

    optimizer = optax.sgd(0.1)
    train_step = training.make_train_step(loss_fn, optimizer)
    single = jax.jit(train_step)

    def start():
        return training.TrainState.create(network.init(jax.random.key(0)), optimizer, jax.random.key(1))

    def batch(key):
        return jax.random.normal(key, (16, 32, 32, 16))

    def bare():
        state = start()
        for i in range(30):
            if i % 5 == 0:
                yield time.perf_counter()
            state, _ = jax.block_until_ready(single(state, batch(jax.random.key(2))))

    def fitted():
        times_ = []
        training.fit(
            start(), train_step, batch, steps=30, chunk=5, save_every=5, label=None,
            log=lambda *_: times_.append(time.perf_counter()), scanned=training.may_scan(network),
        )  # fmt: skip
        return times_

    def quickest(times_):
        return np.diff(list(times_)).min()

    assert training.may_scan(networks.mlp(2, width=4, depth=1, inject=None))
    assert quickest(fitted()) < 5 * quickest(bare())


@pytest.mark.parametrize("scanned", [True, False])
def test_data_of_batches_are_arguments_not_constants(scanned, monkeypatch):
    """A 4 MB table behind the batches is nowhere in what is compiled. Mutation: `batch` closed over instead of passed."""
    compiled, jit = [], jax.jit

    def noted(function, **options):
        def lower(*given):
            lowered = jit(function, **options).lower(*given)
            compiled.append(lowered.as_text())
            return lowered

        return SimpleNamespace(lower=lower)

    monkeypatch.setattr(jax, "jit", noted)
    table = jnp.arange(1_000_000.0).reshape(-1, 2)
    batch = jax.tree_util.Partial(lambda table, key: table[jax.random.randint(key, (4,), 0, len(table))], table)
    optimizer = optax.sgd(0.1)
    train_step = training.make_train_step(quadratic, optimizer)
    training.fit(state_of(optimizer), train_step, batch, steps=2, label=None, scanned=scanned)
    assert compiled and all(len(text) < 1_000_000 and "500000x2" in text for text in compiled)


def test_visits_see_the_state_wherever_it_is_saved():
    """At every save_every and at the end, with the parameters of that step. Fails for visits one chunk late."""
    optimizer, seen = optax.sgd(0.1), {}
    train_step = training.make_train_step(quadratic, optimizer)
    fit = lambda steps, **visits: training.fit(  # noqa: E731
        state_of(optimizer), train_step, noise_batch, steps=steps, chunk=2, save_every=4, label=None, **visits
    )
    fit(10, visit=lambda state: seen.update({int(state.step): np.asarray(state.params["w"])}))
    assert list(seen) == [4, 8, 10]
    np.testing.assert_array_equal(seen[4], np.asarray(fit(4).params["w"]))


def test_progress_prints_plain_lines_without_a_terminal(capsys):
    """The last step is always reported, with its metrics."""
    with progress(20, label="job") as update:
        update(10, {"loss": 0.5})
        update(20, {"loss": 0.25})
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["job 0/20  compiling", "job 10/20  loss 0.5"]
    assert len(lines) == 3 and lines[2].startswith("job 20/20") and "loss 0.25" in lines[2]


def test_the_time_left_is_that_of_steps_after_the_first(monkeypatch, capsys):
    """60 s of compilation, then a step in 2 s: (100 - 11) 2 s are left. Mutations: from the start; nothing before the end."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with progress(100, label="job") as update:
        for now[0], step in ((60.0, 1), (62.0, 2), (64.0, 3), (80.0, 11)):
            update(step, {} if step > 1 else {"loss": 3.0})
    assert capsys.readouterr().err.splitlines() == [
        "job 0/100  compiling",
        "job 1/100  loss 3",
        "job 11/100  0.5 steps/s  loss 3  178 s left",
    ]


@pytest.mark.parametrize(("parameters", "dispatched"), [(1_000_000, False), (1_000_001, True)])
def test_long_steps_are_shown_and_stopped_one_by_one(parameters, dispatched, monkeypatch, capsys):
    """On a CPU a state of many parameters is not scanned: shown from its first step on, and a signal is heard within two.

    Mutations: `_slow` always False; `done` never called.
    """
    optimizer, monotonic = optax.sgd(0.1), itertools.count(0.0, 100.0)  # every look is later than a line's wait
    train_step = training.make_train_step(quadratic, optimizer)
    monkeypatch.setattr(time, "monotonic", lambda: next(monotonic))
    state = training.TrainState.create(
        {"w": jnp.ones(2), "more": jnp.ones(parameters - 2)}, optimizer, jax.random.key(0)
    )
    training.fit(state, train_step, noise_batch, steps=4, chunk=4, save_every=4)
    steps = re.findall(r"training (\d)/4", capsys.readouterr().err)
    assert steps == (["0", "1", "2", "3", "4"] if dispatched else ["0", "4"])


@pytest.mark.parametrize("width", [80, 140])
def test_a_terminal_of_80_columns_shows_all_that_matters(width, monkeypatch):
    """Name, step, of how many, rate, loss and time left in one line; "compiling" before the first step is done.

    Mutations: every metric on a narrow terminal; nothing drawn before the first report; a rate with the compilation in it.
    """
    from rich.console import Console

    written, now = io.StringIO(), [0.0]
    console = Console(file=written, force_terminal=True, width=width, color_system=None, legacy_windows=False)
    module = sys.modules["ddjax.training.progress"]
    monkeypatch.setattr(module, "Console", lambda **_: console)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    row = {"confinement": 2.2041, "grad_norm": 1.0691, "interaction": 1.338, "loss": 1.535}
    with progress(30_000, label="condition-aware-ot-x-coordinate-seed0") as update:
        assert "compiling" in written.getvalue()
        for seconds, step in ((60.0, 100), (61.0, 200), (62.0, 300)):
            now[0] = seconds
            update(step, row)
        line = re.split(r"[\r\n]", re.sub(r"\x1b\[[0-9?;]*[A-Za-z]", "", written.getvalue()))[-1]
    assert len(line) <= width and line.startswith("condition-aware-ot")
    assert re.search(r"300/30000 100 steps/s .*loss 1.535 +\d:\d\d:\d\d$", line.rstrip()), line
    assert ("grad_norm" in line) == (width == 140)


@pytest.mark.parametrize("arguments", [{"chunk": 0}, {"chunk": 30, "save_every": 50}])
def test_bad_chunks_are_refused(arguments):
    optimizer = optax.sgd(0.1)
    with pytest.raises(ValueError, match=r"multiple of chunk|at least 1, got chunk=0"):
        training.fit(
            state_of(optimizer),
            training.make_train_step(quadratic, optimizer),
            noise_batch,
            steps=10,
            label=None,
            **arguments,
        )


@pytest.mark.slow
def test_a_trained_model_samples_in_few_steps(optimised):
    """600 steps of DDM: MMD^2 at 1 and 4 steps far below the exact mean's 1.3 and .03, which no regression can beat.

    Mutations: interaction divided by (m - 1) again, its sign turned, xi not used, squared ratios in the bridge.
    """
    network = networks.mlp(2, inject=1)
    denoiser = denoisers.distributional(network, SCHEDULE)
    law = times.power(0.7, base=times.stratified)
    loss_fn = objectives.distributional(denoiser, SCHEDULE, times=law, size=8)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(optax.cosine_decay_schedule(5e-3, 600)))
    key_init, key_state, key_prior, key_steps, key_truth = jax.random.split(jax.random.key(1), 5)
    state = training.TrainState.create(network.init(key_init), optimizer, key_state)
    train_step = training.make_train_step(loss_fn, optimizer, ema_decay=0.99)
    state = training.fit(state, train_step, lambda key: MIXTURE.sample(key, 512), steps=600, label=None)
    step = samplers.bridge(denoisers.bind(denoiser, state.ema), SCHEDULE, churn=1.0)
    truth = MIXTURE.sample(key_truth, 5000)
    for n, bound in ((1, 0.015), (4, 0.003)):
        x_1 = paths.prior(SCHEDULE, jax.random.clone(key_prior), (5000, 2))
        x_0 = samplers.sample(step, jax.random.clone(key_steps), x_1, times.grid(n))
        assert metrics.mmd(x_0, truth) < bound
