"""Memory: what a compiled step needs, against its arrays, and steps that do not fit, told before they run."""

import jax
import jax.numpy as jnp
import optax
import pytest
from descent import noise_batch, quadratic, state_of

from ddjax import cli, data, runs, training
from ddjax.runs import engine, jobs
from ddjax.training import memory
from ddjax.types import Network
from experiments.benchmark import large_run
from experiments.common.images.settings import PRESETS
from experiments.images import experiment as images

N = 1_000_000  # float32 numbers: 4 MB


def test_a_program_needs_its_arrays_and_what_it_makes():
    """x and a copy sorted: two arrays of 4 MB, and one where the argument gives its place. Within 1 %, of one device.

    Mutations: outputs in the place of arguments counted twice; temporaries left out.
    """
    x = jax.ShapeDtypeStruct((N,), jnp.float32)
    double = lambda **how: jax.jit(lambda x: 2 * x, **how).lower(x).compile()  # noqa: E731
    devices = jax.local_device_count()
    assert memory.needs(double()) == pytest.approx(8 * N * devices, rel=0.01)
    assert memory.needs(double(donate_argnums=0)) == pytest.approx(4 * N * devices, rel=0.01)
    outer = jax.jit(lambda x: jnp.sort(jnp.sin(x)[::-1]).sum()).lower(x).compile()
    assert memory.needs(outer) >= 8 * N * devices


@pytest.mark.parametrize("scanned", [True, False])
def test_a_step_that_does_not_fit_is_told_before_it_runs(scanned, monkeypatch):
    """With both numbers, the state as it was: none of its buffers was donated. Mutation: told after the first step."""
    monkeypatch.setattr(memory, "has", lambda: 10)
    optimizer = optax.sgd(0.1)
    state = state_of(optimizer)
    with pytest.raises(MemoryError, match=r"needs .* GB of memory, and there are 1e-08"):
        training.fit(
            state, training.make_train_step(quadratic, optimizer), noise_batch, steps=2, label=None, scanned=scanned
        )
    assert state.params["w"].tolist() == [1.0, -2.0]


def test_a_command_line_tells_what_helps(capsys):
    """One line, exit code 2. Mutation: a traceback."""

    def run(_):
        raise MemoryError("a training step needs 188 GB of memory, and there are 80")

    with pytest.raises(SystemExit) as stop:
        cli.main(engine.Engine, run, program="train", words=[])
    assert stop.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("error: memory is too small: a training step needs 188 GB of memory, and there are 80; ")
    assert all(flag in told for flag in ("--batch", "--accumulate", "--remat")) and told.count("\n") == 1


def test_the_rows_of_a_job_tell_its_speed_and_memory(tmp_path):
    """One for each row of its metrics, at the steps that `log_every` says; after a resume once each.

    Mutations: a rate over all steps so far, which a resumed job has not made; a chunk that the engine does not set.
    """
    run = runs.Run(tmp_path, {}, engine.Engine(log_every=50))
    network = Network(lambda key: {"w": jnp.array([1.0, -2.0])}, None)
    for steps in (100, 200):
        jobs.train(run, "job", network, quadratic, optax.sgd(0.1), noise_batch, jobs.Budget(steps, 100, 0.9), seed=0)
    rows = runs.read_metrics(tmp_path, "speed.jsonl")
    assert [row["step"] for row in rows] == [row["step"] for row in runs.read_metrics(tmp_path)] == [50, 100, 150, 200]
    assert all(row["steps_per_second"] > 0 and 0 < row["memory_gb"] < 1000 for row in rows)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_every_way_of_a_large_run_takes_the_same_steps():
    """Losses of three steps, of which the first two change nothing yet: recomputed to 1e-5, in bfloat16 and in parts to 5 %; parts
    and recomputation need less memory.

    Mutations: a way that is not handed on; parts of which one is left out; streamed batches of another size.
    """
    words = [
        "--preset",
        "glyphs",
        "--width",
        "32",
        "--depth",
        "2",
        "--inject",
        "1",
        "--batch",
        "64",
        "--population",
        "2",
    ]
    settings = cli.parse(images.Config, words, presets=PRESETS)
    train = data.glyphs.glyphs("train", n=500)
    found = {}
    for way in large_run.ways(4):
        turn = large_run.turns(way, settings, train)
        with jax.numpy_dtype_promotion("standard"):  # as for users
            found[way.name] = [next(turn) for _ in range(3)]
    losses = {name: [step.loss for step in steps] for name, steps in found.items()}
    assert losses["remat"] == pytest.approx(losses["plain"], rel=1e-5)
    assert all(loss == pytest.approx(losses["plain"], rel=0.05) for loss in losses.values())
    assert losses["4 parts"] != losses["plain"] != losses["bfloat16"]
    memory = {name: steps[0].memory for name, steps in found.items()}
    assert memory["remat, bfloat16, 4 parts"] < memory["4 parts"] < memory["plain"]
