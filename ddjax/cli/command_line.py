"""Command lines: a frozen dataclass is a command line and a YAML file, and a user's mistake is one line and exit code 2.

Nothing here imports jax, so that `--help` answers at once.
"""

import contextlib
import dataclasses
import difflib
import errno
import io
import itertools
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import tyro

from ddjax.cli import documents, settings, usage
from ddjax.cli.settings import UserError

Config = TypeVar("Config")
Presets = dict[str, dict[str, Any]]

TERMINATED = 128 + 15  # exit code after SIGTERM, as shells report it; after another signal it is 128 and its number
_STOPS = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGHUP,
    signal.SIGXCPU,
)  # as `training.signals` has them
_HEARD = 1.0  # seconds within which a signal that asks to stop should have ended the run or reached a training
LOST = 4  # exit code when another process of the run is gone
SWITCH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}  # as YAML has them
# what tyro and Python say of a word that is no number
_NO_NUMBER = re.compile(r"Error parsing --([\w-]+): .*?[:m] \[?('[^\]]*')")
_COLOUR = re.compile("\x1b\\[[0-9;]*m")
# how errors of communication between processes begin, whatever their Python class
_STATUS = re.compile("(UNKNOWN|UNAVAILABLE|INTERNAL|ABORTED|CANCELLED|DEADLINE_EXCEEDED|FAILED_PRECONDITION): ")


class Stopped(BaseException):
    """A signal that asks to stop arrived where nothing had to be saved first: between trainings, or while judging."""

    def __init__(self, signum: int):
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum = signum


def main(
    make: type[Config],
    run: Callable[[Config], None],
    *,
    presets: Presets | None = None,
    program: str | None = None,
    words: Sequence[str] | None = None,
) -> None:
    """Parse the command line into `make` and run it.

    Args:
        program: its name in the help (default: `python -m` and the module of `make`). words: default: those after the
            program's name.

    Exit codes: 2 after a user's mistake, a full disk or a full device (one line on stderr), 3 when training diverged, 4 when
    another process of the run was lost; 130 when Ctrl-C stopped it and its state was saved, 143 when SIGTERM did, 138 when
    SIGUSR1 did, 129 when SIGHUP did, 152 when SIGXCPU did. A second Ctrl-C ends the process at once.
    """
    resumes = any(field.name == "resume" for field in dataclasses.fields(make))
    try:
        with _stoppable():
            run(parse(make, sys.argv[1:] if words is None else words, presets=presets, program=program))
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


def _one_of_several() -> bool:
    jax = sys.modules.get("jax")
    return jax is not None and jax.distributed.is_initialized() and jax.process_count() > 1


def _fail(error: Any, code: int) -> None:
    with contextlib.suppress(OSError):  # of a terminal that is closed
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
    if _one_of_several():
        os._exit(code)  # an orderly exit would wait for the others
    raise SystemExit(code)


def parse(
    make: type[Config], argv: Sequence[str], *, presets: Presets | None = None, program: str | None = None
) -> Config:
    """Defaults, then presets, then `--config FILE.yaml`, then the command line: the later one wins.

    Args:
        presets: words of the command line and the settings they stand for: `{"full": {...}, "preset digits": {...}}`.
    Raises: UserError for an unknown flag or key, naming the nearest valid one, a flag given twice or without its value, a
        file that cannot be read, or a value that its setting cannot have.
    """
    if {"--help", "-h"} & set(argv):
        sys.stdout.write(usage.text(make, program or _named(make), presets))
        raise SystemExit(0)
    kinds = settings.kinds(make)
    switches = {name: kind is bool for name, kind in kinds.items()}
    defaults = {field.name: field.default for field in dataclasses.fields(make)}
    _require_each_once(argv, switches)
    file = _value_of("--config", argv)
    filed = [] if file is None else _words(_read(Path(file), defaults))
    _require_each_once(filed, switches)
    words = [*filed, *argv]
    given = _given(words)
    for flag, preset in reversed((presets or {}).items()):
        name, _, value = flag.partition(" ")
        if name in given and value in ("", given[name]):
            words = [*_words(preset), *words]
    parsed = _constructed(make, kinds, _spelled_out(words, defaults))
    settings.check(parsed)
    return parsed


def _named(make: type) -> str:
    """How to call the module of a settings class; a package by its own name."""
    spec = sys.modules[make.__module__].__spec__
    return f"python -m {'' if spec is None else spec.name.removesuffix('.__main__')}"


def _require_each_once(argv: Sequence[str], switches: dict[str, bool]) -> None:
    """Raises: UserError for words that are not text, unknown flags, flags given twice, and values where none belong."""
    seen: list[str] = ["the command line"]
    for word in argv:
        if any("\udc80" <= character <= "\udcff" for character in word):  # how Python keeps bytes that are not text
            raise UserError(f"the command line must be UTF-8, got {word!a}")
        flag, equals, value = word.partition("=") if word.startswith("--") else ("", "=", word)
        if equals and not value.strip():
            raise UserError(f"{flag or seen[-1]} needs a value, got an empty one")
        if not flag:
            continue
        name = flag[2:].replace("-", "_")
        if switches.get(name.removeprefix("no_")):
            name = name.removeprefix("no_")
            if equals:
                raise UserError(f"{flag} takes no value: give --{name} or --no-{name}".replace("_", "-"))
        _require_known(name, [*switches, "help"], word)
        flag = f"--{name}".replace("_", "-")
        if flag in seen:
            raise UserError(f"{flag} is given twice")
        seen.append(flag)


def _given(words: Sequence[str]) -> dict[str, str]:
    """Each flag with the word after it; the later one wins."""
    given: dict[str, str] = {}
    for word, after in zip(words, [*words[1:], ""], strict=False):
        if word.startswith("--"):
            name, _, value = word[2:].partition("=")
            given.pop(name.removeprefix("no-"), None)
            given[name] = value or after
    return given


def _constructed(make: type[Config], kinds: dict[str, Any], words: Sequence[str]) -> Config:
    """`make` of the words, by tyro: its framed errors in one line."""
    framed = io.StringIO()
    try:
        with contextlib.redirect_stderr(framed):
            return tyro.cli(make, args=words)
    except SystemExit:
        lines = [line.strip("│ ") for line in _COLOUR.sub("", framed.getvalue()).splitlines()[1:]]
        told = " ".join(itertools.takewhile(lambda line: not line.startswith("─"), lines))
        if bad := _NO_NUMBER.match(told):
            wanted = {int: "a whole number", float: "a number"}.get(
                settings.scalar(kinds[bad[1].replace("-", "_")]), "another word"
            )
            told = f"--{bad[1]} needs {wanted}, got {bad[2]}"
        raise UserError(told) from None


def _spelled_out(argv: Sequence[str], defaults: dict[str, Any]) -> list[str]:
    """A bare `--resume` as `--resume auto`, where it takes a word."""
    words = list(argv)
    if isinstance(defaults.get("resume"), str) and "--resume" in words:
        i = words.index("--resume")
        if words[i + 1 : i + 2] == [] or words[i + 1].startswith("-"):
            words.insert(i + 1, "auto")
    return words


def _require_known(name: str, names: list[str], given: str, place: str = "") -> None:
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
        raise UserError(f"{place}unknown setting {given!r}; the nearest valid one is {near[0].replace('_', '-')!r}")


def _words(values: dict[str, Any]) -> list[str]:
    """Settings as command-line words, so that files and flags are read by the same rules."""
    words = []
    for name, value in values.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, list | tuple):
            words += [f"--{flag}", *map(str, value)]
        else:
            words += [f"--{flag}", str(value)]
    return words


def _read(file: Path, defaults: dict[str, Any]) -> dict[str, Any]:
    try:
        written = documents.yaml_settings(file, as_written=True)
    except ValueError as error:
        raise UserError(f"cannot read --config {error}") from None
    values = {}
    for key, value in written.items():
        name = key.replace("-", "_")
        _require_known(name, list(defaults), key, f"--config {file}: ")
        if name == "config" or name in values:
            raise UserError(f"--config {file}: {key!r} cannot stand there{' twice' if name in values else ''}")
        if isinstance(value, dict) or (isinstance(value, list) and not all(isinstance(item, str) for item in value)):
            raise UserError(f"--config {file}: {key} takes a value or a list of values")
        values[name] = _meant(value, defaults[name], f"--config {file}: {key}")
    return values


def _meant(value: str | list[str] | None, default: Any, place: str) -> Any:
    """A value of a file as its setting takes it: the words for yes and no switch a flag, and say `auto` beside `off`."""
    switch = SWITCH.get(value.lower()) if isinstance(value, str) else None
    if isinstance(default, bool):
        if switch is None:
            raise UserError(f"{place} must be true or false, got {value}")
        return switch
    if default == "off" and switch is not None:
        return "auto" if switch else "off"
    return value


def _value_of(flag: str, argv: Sequence[str]) -> str | None:
    for i, word in enumerate(argv):
        if word == flag and i + 1 < len(argv):
            return argv[i + 1]
        if word.startswith(flag + "="):
            return word.partition("=")[2]
    return None
