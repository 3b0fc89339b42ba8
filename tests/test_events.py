"""TensorBoard events of a run: the rows of metrics.jsonl and watched.jsonl again, once each, whatever was resumed."""

import shutil
import struct
import sys
import time

import jax
import jax.numpy as jnp
import optax
import pytest
from descent import noise_batch, quadratic

from ddjax import cli, runs
from ddjax.runs import engine, events, jobs
from ddjax.types import Network


def train(path, steps, *, tensorboard=True):
    """A job of a run with a watched number, from its newest checkpoint on."""
    run = runs.Run(path, {}, engine.Engine(tensorboard=tensorboard))
    jobs.train(
        run, "job", Network(lambda key: {"w": jnp.array([1.0, -2.0])}, None), quadratic, optax.sgd(0.1), noise_batch,
        jobs.Budget(steps, 200, 0.9), seed=0, watch=lambda params: {"norm": float(abs(params["w"]).sum())},
    )  # fmt: skip


def of_file(path):
    """The events of one file: records of their length, its checksum, the message, its checksum."""
    from tensorboardX.proto.event_pb2 import Event

    content = path.read_bytes()
    while content:
        [n] = struct.unpack("<Q", content[:8])
        yield Event.FromString(content[12 : 12 + n])
        content = content[16 + n :]


def shown(path):
    """(step, name, value) of every event that TensorBoard shows: a start forgets what is at its step or later."""
    from tensorboardX.proto.event_pb2 import SessionLog

    found = []
    for file in sorted(path.iterdir()):
        for event in of_file(file):
            if event.session_log.status == SessionLog.START:
                found = [row for row in found if row[0] < event.step]
            found += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
    return sorted(found)


def rows(path):
    """The same of the run's rows."""
    found = []
    for file, group in (("metrics.jsonl", ""), ("watched.jsonl", "watched/"), ("speed.jsonl", "speed/")):
        for row in runs.read_metrics(path, file):
            found += [(row["step"], group + name, row[name]) for name in row.keys() - {"job", "step"}]
    return sorted(found)


def test_events_are_the_rows_also_after_the_last_checkpoint_is_lost(tmp_path, monkeypatch):
    """Steps 1 to 300, then within the same second from 200 on to 500: step 300 counts once, with its second value.

    Mutations: no start told; one that keeps the restored step from counting; watched numbers left out; one file name for
    both starts.
    """
    path = tmp_path / "tensorboard" / "job"
    monkeypatch.setattr(time, "time", lambda: 1.7e9)
    train(tmp_path, 300)
    assert [step for step, name, _ in shown(path) if name == "loss"] == [100, 200, 300]
    shutil.rmtree(tmp_path / "checkpoints" / "job" / "300")
    train(tmp_path, 500)
    told, wanted = shown(path), rows(tmp_path)
    assert [row[:2] for row in told] == [row[:2] for row in wanted]
    assert [step for step, name, _ in told if name == "watched/norm"] == [200, 400, 500]
    assert [row[2] for row in told] == pytest.approx([row[2] for row in wanted], rel=1e-6)


def test_a_run_may_go_on_with_events_and_without(tmp_path):
    """No setting of the run. Mutation: it counts among them, and the run cannot be resumed."""
    open_run = lambda **how: runs.open_run("mine", engine.Engine(tmp_path / "run", **how), tmp_path)  # noqa: E731
    assert "tensorboard" not in open_run().settings
    open_run(resume="auto", tensorboard=True)
    train(tmp_path / "run", 100, tensorboard=False)
    assert not (tmp_path / "run" / "tensorboard").exists()
    train(tmp_path / "run", 200)
    assert {step for step, *_ in shown(tmp_path / "run" / "tensorboard" / "job")} == {200}


def test_only_the_first_process_writes(tmp_path, monkeypatch):
    """Mutation: every process opens a file, and none of the others has a log to tell beside."""
    run = runs.Run(tmp_path, {}, engine.Engine(tensorboard=True))
    assert run.events("job") == tmp_path / "tensorboard" / "job"
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    with events.beside(run.events("job"), 0) as also:
        assert also(run.logger("job", 0)) is None
    assert not list(tmp_path.iterdir())


def test_without_the_library_nothing_begins(monkeypatch, capsys):
    """One line before jax is asked for a device. Mutation: told at the first row."""
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.setattr(engine, "_quiet", lambda: pytest.fail("began"))
    with pytest.raises(SystemExit) as stop:
        cli.main(engine.Engine, engine.start, program="train", words=["--tensorboard"])
    assert stop.value.code == 2
    told = "error: --tensorboard needs tensorboardX, which is not installed: pip install 'ddjax[log]'\n"
    assert capsys.readouterr().err == told
