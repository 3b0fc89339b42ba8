"""How a command that runs ends: by a signal wherever it arrives, on a full disk, on a full device; each in one line."""

import contextlib
import dataclasses
import errno
import os
import signal
import sys
import time
import weakref
from pathlib import Path

import jax
import optax
import pytest
from descent import noise_batch, quadratic, state_of

from ddjax import cli, runs, training
from ddjax.runs import engine
from ddjax.training import checkpoints


def called(run, monkeypatch, capsys, make=engine.Engine):
    """Exit code and lines on stderr of a command line that does `run`."""
    monkeypatch.setattr(sys, "argv", ["command"])
    with pytest.raises(SystemExit) as stop:
        cli.main(make, run)
    return stop.value.code, capsys.readouterr().err.splitlines()


@dataclasses.dataclass(frozen=True)
class WithoutResume:
    """A command that has nothing to go on with."""

    n: int = 1


CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGUSR1: 138}


@pytest.mark.parametrize("signum", CODES, ids=lambda signum: signum.name)
def test_signals_outside_of_training_end_the_run_with_their_code(signum, monkeypatch, capsys):
    """While judging: one line, and the old handlers are back. Mutations: handlers in `fit` alone; exit code 0 or 1."""
    before = [signal.getsignal(number) for number in CODES]
    judging = lambda _: (os.kill(os.getpid(), signum), time.sleep(5))  # noqa: E731
    told = f"error: stopped by {signum.name}: all that was trained is saved, go on with --resume"
    assert called(judging, monkeypatch, capsys) == (CODES[signum], [told])
    assert called(judging, monkeypatch, capsys, WithoutResume) == (CODES[signum], [f"error: stopped by {signum.name}"])
    assert [signal.getsignal(number) for number in CODES] == before


@pytest.mark.parametrize("signum", CODES, ids=lambda signum: signum.name)
@pytest.mark.parametrize("then", ["judging", "training"])
def test_a_signal_that_a_library_swallows_is_told_again(signum, then, monkeypatch, capsys):
    """In a weak reference's callback, which tells of it and goes on, as a WeakKeyDictionary's did to 7 of 60 runs.

    Heard within seconds, in one line. Mutations: it is raised once only; Python's own lines of the first time.
    """
    before = [signal.getsignal(number) for number in [*CODES, signal.SIGALRM]]

    def run(_):
        kept = WithoutResume()
        gone = weakref.ref(kept, lambda _: (os.kill(os.getpid(), signum), time.sleep(5)))
        del kept
        assert gone() is None
        began = time.monotonic()
        with training.signals.noted(told=False) if then == "training" else contextlib.nullcontext([]) as received:
            while not received and time.monotonic() - began < 5:
                time.sleep(0.01)
            if received:
                raise training.Interrupted(7, received[0], True)

    saved = " at step 7: saved at step 7" if then == "training" else ": all that was trained is saved"
    told = f"error: stopped by {signum.name}{saved}, go on with --resume"
    assert called(run, monkeypatch, capsys) == (CODES[signum], [told])
    assert [signal.getsignal(number) for number in [*CODES, signal.SIGALRM]] == before


@pytest.mark.parametrize("at", [100, 200])
@pytest.mark.parametrize("signum", CODES, ids=lambda signum: signum.name)
def test_signals_in_training_end_the_run_with_their_code(tmp_path, signum, at, monkeypatch, capsys):
    """In the middle of a job and in its last chunk: what follows is not begun. Mutation: a job that is done swallows it."""
    optimizer, begun = optax.sgd(0.1), []

    def run(_):
        for job in ("a", "b"):
            begun.append(job)
            with checkpoints.manager(tmp_path / job) as manager:
                training.fit(
                    state_of(optimizer), training.make_train_step(quadratic, optimizer), noise_batch, steps=200,
                    checkpoints=manager, label=None, log=lambda step, _: step == at and os.kill(os.getpid(), signum),
                )  # fmt: skip

    told = f"error: stopped by {signum.name} at step 200: saved at step 200, go on with --resume"
    assert called(run, monkeypatch, capsys) == (CODES[signum], [told])
    assert begun == ["a"]


def test_a_device_without_room_is_one_line_with_what_helps(monkeypatch, capsys):
    """What XLA says when an allocation fails, wherever in training or judging. Mutation: its traceback."""

    def run(_):
        raise jax.errors.JaxRuntimeError(
            "RESOURCE_EXHAUSTED: Out of memory while trying to allocate\n 68719476736 bytes."
        )

    told = "error: memory is too small: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 68719476736 bytes."
    help_ = "; a smaller --batch needs less, or --accumulate parts of one, of unet and dit --remat too"
    assert called(run, monkeypatch, capsys) == (2, [told + help_])


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("what", ["metrics.jsonl", "summary.json"])
def test_a_full_disk_is_one_line_with_the_file_and_what_to_do(tmp_path, what, monkeypatch, capsys):
    """Writing fails, not opening, so that the error names no file itself. Mutations: let it through; leave the draft."""
    folder = runs.Run(tmp_path, {}, engine.Engine())
    log = folder.logger("a", 0)

    @contextlib.contextmanager
    def opens(*_, **__):
        yield type("File", (), {"write": full})()

    def run(_):
        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", opens)
            patch.setattr(Path, "write_text", full)
            log(1, {"loss": 1.0}) if what == "metrics.jsonl" else runs.write_atomically(folder.path / what, "{}")

    code, lines = called(run, monkeypatch, capsys)
    assert (code, lines) == (
        2,
        [f"error: cannot write {tmp_path / what}: the disk is full: make room, then start again"],
    )
    assert not list(tmp_path.glob("*.draft"))
