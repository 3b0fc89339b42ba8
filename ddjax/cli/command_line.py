"""How a command runs and ends: its settings are read, signals stop it, and a user's mistake is one line and exit code 2.

Nothing here imports jax, so that `--help` answers at once.
"""

import contextlib
import dataclasses
import errno
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ddjax.cli import output
from ddjax.cli.parsing import Config, Presets, Presumed, parse
from ddjax.cli.settings import UserError

_STOPS = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGHUP,
    signal.SIGXCPU,
)  # as `training.signals` has them
_HEARD = 1.0  # seconds within which a signal that asks to stop should have ended the run or reached a training
LOST = 4  # exit code when another process of the run is gone
# how errors of communication between processes begin, whatever their Python class
_STATUS = re.compile("(UNKNOWN|UNAVAILABLE|INTERNAL|ABORTED|CANCELLED|DEADLINE_EXCEEDED|FAILED_PRECONDITION): ")


class Stopped(BaseException):
    """A signal that asks to stop arrived where nothing had to be saved first: between trainings, or while judging."""

    def __init__(self, signum: int):
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum = signum


@output.printed()
def main(
    make: type[Config],
    run: Callable[[Config], None],
    *,
    presets: Presets | None = None,
    presumed: Presumed[Config] | None = None,
    program: str | None = None,
    words: Sequence[str] | None = None,
) -> None:
    """Parse the command line into `make` and run it, printing as `output.printed` does.

    Args:
        presumed: as in `parse`.
        program: its name in the help (default: `python -m` and the module that it started). words: default: those after the
            program's name.

    Exit codes: 2 after a user's mistake, a full disk, a full device or none (one line on stderr), 3 when training diverged, 4 when
    another process of the run was lost; 130 when Ctrl-C stopped it and its state was saved, 143 when SIGTERM did, 138 when
    SIGUSR1 did, 129 when SIGHUP did, 152 when SIGXCPU did. A second Ctrl-C ends the process at once.
    """
    resumes = any(field.name == "resume" for field in dataclasses.fields(make))
    try:
        with _stoppable():
            given = sys.argv[1:] if words is None else words
            run(parse(make, given, presets=presets, presumed=presumed, program=program))
            if sys.stdout:
                sys.stdout.flush()
    except Stopped as stop:
        told = ": all that was trained is saved, go on with --resume" if resumes else ""
        _fail(f"{stop}{told}", 128 + stop.signum)
    except Exception as error:
        if _one_of_several() and _STATUS.search(str(error)):
            told = " ".join(str(error).split())[:200]
            _fail(f"another process of this run is gone: {told}; start all again with --resume auto", LOST)
        if isinstance(error, MemoryError) or str(error).startswith("RESOURCE_EXHAUSTED"):
            told = " ".join(str(error).split())[:200]
            less = "a smaller --batch needs less, or --accumulate parts of one, of unet and dit --remat too"
            _fail(f"memory is too small: {told}; {less}", 2)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            _fail(f"cannot write {error.filename or 'a file'}: the disk is full: make room, then start again", 2)
        if isinstance(error, OSError) and error.filename and error.strerror:
            _fail(f"{error.filename}: {error.strerror}", 2)
        if isinstance(error, UserError | ValueError | OSError):
            _fail(error, 2)
        if isinstance(error, FloatingPointError):
            _fail(error, 3)
        if type(error).__name__ != "Interrupted":  # its class lives in ddjax, which imports jax
            if (reason := _no_device()) is not None:
                _fail(f"JAX finds no device, with JAX_PLATFORMS={os.environ.get('JAX_PLATFORMS', '')!r}: {reason}", 2)
            raise
        _fail(f"{error}{', go on with --resume' if resumes else ''}", 128 + error.signum)  # pyright: ignore[reportAttributeAccessIssue]


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Let signals raise `Stopped`, where `training.fit` does not note them; of the second one the kernel takes care.

    A library may swallow an exception that arrives within it (in a bare `except`, in a weak reference's callback): after a
    second the signal is told again, to whoever listens then, until it is heard.
    """

    def stop(signum: int, _: Any) -> None:
        if not isinstance(sys.exception(), Stopped):  # cleaning up after the first is left in peace
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.signal(signal.SIGALRM, lambda _, frame: signal.getsignal(signal.SIGTERM)(signum, frame))  # pyright: ignore[reportOptionalCall]
            signal.setitimer(signal.ITIMER_REAL, _HEARD)
            raise Stopped(signum)

    nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    before = {number: signal.signal(number, stop) for number in _STOPS if not (nohup and number == signal.SIGHUP)}
    alarm, unraisable = signal.getsignal(signal.SIGALRM), sys.unraisablehook
    sys.unraisablehook = lambda lost: isinstance(lost.exc_value, Stopped) or unraisable(lost)
    try:
        yield
    finally:
        sys.unraisablehook = unraisable
        if signal.getsignal(signal.SIGALRM) is not alarm:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, alarm)
        stopped = hasattr(
            sys.exception(), "signum"
        )  # the process is at its end, where Python would answer by a traceback
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if stopped else handler or signal.SIG_DFL)


def _no_device() -> str | None:
    """Why JAX has no device of a kind that was asked for; None where it has all, or was not needed."""
    jax, asked = sys.modules.get("jax"), os.environ.get("JAX_PLATFORMS") or None
    try:
        for platform in asked.split(",") if asked else (None,):
            if jax is not None:
                jax.devices(platform)
    except Exception as error:
        return str(error) or "it knows of none by this name"
    return None


def _one_of_several() -> bool:
    jax = sys.modules.get("jax")
    return jax is not None and jax.distributed.is_initialized() and jax.process_count() > 1


def _fail(error: Any, code: int) -> None:
    with contextlib.suppress(OSError):  # of a terminal that is closed
        print(f"error: {output.message(error)}", file=sys.stderr, flush=True)
    if _one_of_several():
        os._exit(code)  # an orderly exit would wait for the others
    raise SystemExit(code)
