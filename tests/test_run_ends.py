"""How a command that runs ends: by a signal wherever it arrives, on a full disk, on a full device; each in one line."""

import contextlib
import dataclasses
import errno
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path
from subprocess import PIPE

import jax
import optax
import pytest
from descent import noise_batch, quadratic, state_of

from ddjax import cli, files, runs, training
from ddjax.runs import engine
from ddjax.training import checkpoints, manifest

ENDINGS = Path(__file__).with_name("ending.py")


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


CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGUSR1: 138, signal.SIGHUP: 129, signal.SIGXCPU: 152}
ENDING = [signal.SIG_DFL] * len(CODES)  # handlers of a process that is at its end: what comes now is the kernel's


@pytest.fixture(autouse=True)
def handlers():
    """Those that a terminal gives, also where the tests run under `nohup`; afterwards the old ones."""
    before = {signum: signal.getsignal(signum) for signum in CODES}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.parametrize("signum", CODES, ids=lambda signum: signum.name)
def test_signals_outside_of_training_end_the_run_with_their_code(signum, monkeypatch, capsys):
    """While evaluating: one line, and a second signal is the kernel's. Mutations: handlers in `fit` alone; exit code 0 or 1;
    Python's handler of Ctrl-C is back, which prints a traceback."""
    judging = lambda _: (os.kill(os.getpid(), signum), time.sleep(5))  # noqa: E731
    told = f"error: stopped by {signum.name}: all that was trained is saved, go on with --resume"
    assert called(judging, monkeypatch, capsys) == (CODES[signum], [told])
    assert called(judging, monkeypatch, capsys, WithoutResume) == (CODES[signum], [f"error: stopped by {signum.name}"])
    assert [signal.getsignal(number) for number in CODES] == ENDING


def test_after_another_end_the_old_handlers_are_back(monkeypatch, capsys):
    """A command called from a program that goes on. Mutation: the kernel's for good."""
    before = [signal.getsignal(number) for number in CODES]

    def refused(_):
        raise cli.UserError("no")

    assert called(refused, monkeypatch, capsys) == (2, ["error: no"])
    assert [signal.getsignal(number) for number in CODES] == before


def test_a_second_ctrl_c_while_the_process_ends_is_no_traceback():
    """The line is told, Python is ending. Mutation: the old handlers are back before the end."""
    with subprocess.Popen([sys.executable, ENDINGS, "twice"], stdout=PIPE, stderr=PIPE, text=True) as process:
        assert process.stdout.readline() == "runs\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "ends\n"
        process.send_signal(signal.SIGINT)
        _, told = process.communicate()
    assert told.splitlines() == ["error: stopped by SIGINT: all that was trained is saved, go on with --resume"]
    assert process.returncode == -signal.SIGINT


def test_a_closed_terminal_ends_a_run_that_is_saved(tmp_path):
    """The terminal's other end is gone, writing to it fails, the kernel sends SIGHUP. Mutations: SIGHUP is not noted; the
    progress display raises what its stream does."""
    ours, theirs = os.openpty()
    words = [sys.executable, ENDINGS, "terminal", tmp_path, os.ttyname(theirs)]
    with subprocess.Popen(words, start_new_session=True, stderr=subprocess.DEVNULL) as process:
        told = b""
        while b"trains" not in told:
            told += os.read(ours, 1024)
        os.close(theirs)
        os.close(ours)
        assert process.wait(30) == CODES[signal.SIGHUP]
    assert manifest.intact(tmp_path / str(manifest.steps(tmp_path)[0]))


def test_the_limit_of_processor_time_ends_a_run_that_is_saved_and_nohup_does_not(tmp_path):
    """Mutations: SIGXCPU is not noted; a SIGHUP that is ignored is noted, by training or by the command."""
    done = subprocess.run([sys.executable, ENDINGS, "limit", tmp_path], capture_output=True, text=True, check=False)
    (step,) = manifest.steps(tmp_path)
    assert (
        done.stderr.splitlines()[-1]
        == f"error: stopped by SIGXCPU at step {step}: saved at step {step}, go on with --resume"
    )
    assert done.returncode == CODES[signal.SIGXCPU] and manifest.intact(tmp_path / str(step))


def test_a_process_that_ends_completes_its_saves_or_says_that_they_are_lost(tmp_path):
    """Neither `with` nor wait. Mutations: no hook; one of `atexit`, when it is too late; a failure is not told."""
    done = subprocess.run([sys.executable, ENDINGS, "unwaited", tmp_path], capture_output=True, text=True, check=False)
    assert manifest.intact(tmp_path / "kept/0") and not manifest.intact(tmp_path / "full/0")
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert (
        told.startswith(f"error: cannot save step 0 in {tmp_path / 'full'}: the disk is full") and done.returncode == 0
    )


@pytest.mark.parametrize("signum", list(CODES)[:3], ids=lambda signum: signum.name)
@pytest.mark.parametrize("then", ["judging", "training"])
def test_a_signal_that_a_library_swallows_is_told_again(signum, then, monkeypatch, capsys):
    """In a weak reference's callback, which tells of it and goes on, as a WeakKeyDictionary's did to 7 of 60 runs.

    Heard within seconds, in one line. Mutations: it is raised once only; Python's own lines of the first time.
    """
    alarm = signal.getsignal(signal.SIGALRM)

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
    assert [signal.getsignal(number) for number in [*CODES, signal.SIGALRM]] == [*ENDING, alarm]


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
            patch.setattr(files, "open", opens, raising=False)
            log(1, {"loss": 1.0}) if what == "metrics.jsonl" else runs.write_atomically(folder.path / what, "{}")

    code, lines = called(run, monkeypatch, capsys)
    assert (code, lines) == (
        2,
        [f"error: cannot write {tmp_path / what}: the disk is full: make room, then start again"],
    )
    assert not list(tmp_path.glob("*.draft"))
