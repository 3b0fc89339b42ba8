"""Words of a command line as settings: a frozen dataclass is a command line and a YAML file.

Nothing here imports jax, so that `--help` answers at once.
"""

import contextlib
import dataclasses
import difflib
import io
import itertools
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import tyro

from ddjax.cli import documents, settings, usage
from ddjax.cli.settings import UserError

Config = TypeVar("Config")
Presets = dict[str, dict[str, Any]]
Presumed = Callable[[Config], dict[str, Any]]

SWITCH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}  # as YAML has them
# what tyro and Python say of a word that is no number
_NO_NUMBER = re.compile(r"Error parsing --([\w-]+): .*?[:m] \[?('[^\]]*')")
_RULE = re.compile("[─-]+")
_COLOUR = re.compile("\x1b\\[[0-9;]*m")


def parse(
    make: type[Config],
    argv: Sequence[str],
    *,
    presets: Presets | None = None,
    presumed: Presumed[Config] | None = None,
    program: str | None = None,
) -> Config:
    """Defaults, then presets, then `--config FILE.yaml`, then the command line: the later one wins. A path may begin with ~.

    Args:
        presets: words of the command line and the settings they stand for: `{"full": {...}, "preset digits": {...}}`.
        presumed: checked settings -> those that follow from them, in the place of defaults.
    Raises: UserError for an unknown flag or key, naming the nearest valid one, a flag given twice or without its value, a
        file that cannot be read, or a value that its setting cannot have.
    """
    if {"--help", "-h"} & set(argv):
        sys.stdout.write(usage.text(make, program or _running(), presets))
        raise SystemExit(0)
    kinds = settings.kinds(make)
    switches = {name: kind is bool for name, kind in kinds.items()}
    defaults = {field.name: field.default for field in dataclasses.fields(make)}
    _require_each_once(argv, switches)
    file = _value_of("--config", argv)
    filed = [] if file is None else _words(_read(_from_home(Path(file)), defaults))
    _require_each_once(filed, switches)
    words = [*filed, *argv]
    given = _given(words)
    for flag, preset in reversed((presets or {}).items()):
        name, _, value = flag.partition(" ")
        if name in given and value in ("", given[name]):
            words = [*_words(preset), *words]
    parsed = _checked(make, words)
    follow = presumed(parsed) if presumed else {}
    return _checked(make, [*_words(follow), *words]) if follow else parsed


def _running() -> str:
    """The command that runs: the module that `python -m` started; a package by its own name."""
    spec = sys.modules["__main__"].__spec__
    return f"python -m {'' if spec is None else spec.name.removesuffix('.__main__')}"


def _require_each_once(argv: Sequence[str], switches: dict[str, bool]) -> None:
    """Raises: UserError for words that are not text, unknown flags, flags given twice, and values where none belong."""
    seen: list[str] = ["the command line"]
    for word in argv:
        if word == "--":
            raise UserError("-- has no meaning here: every setting has a flag of its own")
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


def _checked(make: type[Config], words: Sequence[str]) -> Config:
    """`make` of the words, its paths from home, which no shell expands in --out=~/run nor in a file."""
    defaults = {field.name: field.default for field in dataclasses.fields(make)}
    made = _constructed(make, _spelled_out(words, defaults))
    paths = {name: getattr(made, name) for name, kind in settings.kinds(make).items() if settings.scalar(kind) is Path}
    made = dataclasses.replace(made, **{name: _from_home(value) for name, value in paths.items()})
    settings.check(made)
    return made


def _from_home(value: Path | tuple[Path, ...] | None) -> Path | tuple[Path, ...] | None:
    if isinstance(value, tuple):
        return tuple(map(_from_home, value))
    try:
        return value and value.expanduser()
    except RuntimeError:
        raise UserError(f"{value} begins with the home of a user who is not known here") from None


def _constructed(make: type[Config], words: Sequence[str]) -> Config:
    """`make` of the words, by tyro: its framed errors in one line."""
    kinds, framed = settings.kinds(make), io.StringIO()
    try:
        with contextlib.redirect_stderr(framed):
            return tyro.cli(make, args=words)
    except SystemExit:
        lines = [line.strip("│ ") for line in _COLOUR.sub("", framed.getvalue()).splitlines()[1:]]
        inside = itertools.dropwhile(_RULE.fullmatch, lines)  # a frame has another look where stdout is not UTF-8
        told = " ".join(itertools.takewhile(lambda line: not _RULE.fullmatch(line), inside))
        if told.startswith("Missing from"):
            raise UserError(_needed(make, words)) from None
        if bad := _NO_NUMBER.match(told):
            wanted = {int: "a whole number", float: "a number"}.get(
                settings.scalar(kinds[bad[1].replace("-", "_")]), "another word"
            )
            told = f"--{bad[1]} needs {wanted}, got {bad[2]}"
        raise UserError(told) from None


def _needed(make: type, words: Sequence[str]) -> str:
    """What the words lack: the first setting without a default that is not among them."""
    needed = [field.name for field in dataclasses.fields(make) if field.default is dataclasses.MISSING]
    name = next(name for name in needed if name.replace("_", "-") not in _given(words))
    kind = settings.kinds(make)[name]
    choices = f" {' or '.join(get_args(settings.scalar(kind)))}" if get_origin(settings.scalar(kind)) is Literal else ""
    head = name.upper() if usage.positional(kind) else f"--{name.replace('_', '-')}"
    return f"{head} is needed: {usage.documents(make)[name].removesuffix('.')}{choices and ':' + choices}"


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
