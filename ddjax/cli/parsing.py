"""Words of a command line as settings: a frozen dataclass is a command line and a YAML file.

Nothing here imports jax, so that `--help` answers at once.
"""

import dataclasses
import difflib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

from ddjax.cli import documents, settings, usage
from ddjax.cli.settings import UserError

Config = TypeVar("Config")
Presets = dict[str, dict[str, Any]]
Presumed = Callable[[Config], dict[str, Any]]
Words = dict[str, list[str]]  # of each setting that is given, by its name

_SWITCH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}  # as YAML has them
_NUMBERS = {int: "a whole number", float: "a number"}


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
        sys.stdout.write(usage.text(make, program or _named(make), presets))
        raise SystemExit(0)
    given = _given(make, argv)
    if "config" in given:
        given = _read(_value("--config", Path, given["config"]), make) | given
    chosen: Words = {}
    for flag, preset in (presets or {}).items():
        name, _, value = flag.partition(" ")
        if given.get(name) == [value or "true"]:
            chosen |= _words(preset)
    parsed = _checked(make, chosen | given)
    follow = presumed(parsed) if presumed else {}
    return _checked(make, _words(follow) | chosen | given) if follow else parsed


def _named(make: type) -> str:
    """How to call the module of a settings class; a package by its own name."""
    spec = sys.modules[make.__module__].__spec__
    return f"python -m {'' if spec is None else spec.name.removesuffix('.__main__')}"


def _given(make: type, argv: Sequence[str]) -> Words:
    """The words of the command line, by the settings that they belong to; a switch has `true` or `false`.

    Raises: UserError for words that are not text, unknown flags, flags given twice, and values where none belong.
    """
    kinds, given = settings.kinds(make), {}
    free = [name for name, kind in kinds.items() if usage.positional(kind)]
    name = None
    for word in argv:
        if any("\udc80" <= character <= "\udcff" for character in word):  # how Python keeps bytes that are not text
            raise UserError(f"the command line must be UTF-8, got {word!a}")
        if word == "--":
            raise UserError("-- has no meaning here: every setting has a flag of its own")
        if word.startswith("--"):
            name = _begun(word, kinds, given)
        elif name is not None and _takes_more(kinds[name], given[name]):
            given[name].append(word)
        elif free:
            given[free.pop(0)] = [word]
        else:
            raise UserError(f"{settings.brief(word)!r} has no place here: every setting has a flag of its own")
    for name, words in given.items():
        if name == "resume" and not words:  # the bare flag
            words.append("auto")
        if not words and settings.several(kinds[name]) is None:
            raise UserError(f"{_flag(name)} needs a value")
    return given


def _begun(word: str, kinds: Mapping[str, Any], given: Words) -> str:
    """The setting of a word that begins with --, put among those that are given."""
    flag, equals, value = word.partition("=")
    name = flag[2:].replace("-", "_")
    switched = kinds.get(name.removeprefix("no_")) is bool
    setting = name.removeprefix("no_") if switched else name
    if switched and equals:
        raise UserError(f"{flag} takes no value: give {_flag(setting)} or {_flag('no_' + setting)}")
    _require_known(setting, [*kinds, "help"], word)
    if setting in given:
        raise UserError(f"{_flag(setting)} is given twice")
    given[setting] = [str(name == setting).lower()] if switched else [value] if equals else []
    return setting


def _takes_more(kind: Any, words: list[str]) -> bool:
    return kind is not bool and (not words or settings.several(kind) is not None)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _head(name: str, kind: Any) -> str:
    """How a setting is called."""
    return name.upper() if usage.positional(kind) else _flag(name)


def _checked(make: type[Config], words: Words) -> Config:
    """`make` of the words.

    Raises: UserError for a word that is no value of its setting, a setting that is needed, and what `settings.check` refuses.
    """
    kinds = settings.kinds(make)
    values = {name: _value(_head(name, kinds[name]), kinds[name], given) for name, given in words.items()}
    for field in dataclasses.fields(make):
        if field.default is dataclasses.MISSING and field.name not in values:
            raise UserError(_needed(make, field.name))
    made = make(**values)
    settings.check(made)
    return made


def _value(flag: str, kind: Any, words: list[str]) -> Any:
    """What a setting has after its words."""
    one, several = settings.scalar(kind), settings.several(kind)
    if several is not None:
        if several is not Ellipsis and len(words) != several:
            raise UserError(f"{flag} takes {several} values, got {len(words)}")
        return tuple(_one(flag, one, word) for word in words)
    if len(words) != 1:
        raise UserError(f"{flag} takes one value, got {len(words)}")
    return None if words == ["None"] and settings.optional(kind) else _one(flag, one, words[0])


def _one(flag: str, kind: Any, word: str) -> Any:
    """A single value; a path from home, which no shell expands in --out=~/run nor in a file."""
    if not word.strip():
        raise UserError(f"{flag} needs a value, got an empty one")
    if get_origin(kind) is Literal:
        if word not in get_args(kind):
            raise UserError(f"{flag} must be one of {', '.join(get_args(kind))}, got {settings.brief(word)!r}")
        return word
    if kind is bool:
        return word == "true"
    if kind is Path:
        return _from_home(Path(word))
    try:
        return kind(word)
    except ValueError:
        raise UserError(f"{flag} needs {_NUMBERS[kind]}, got {settings.brief(word)!r}") from None


def _from_home(value: Path) -> Path:
    try:
        return value.expanduser()
    except RuntimeError:
        raise UserError(f"{value} begins with the home of a user who is not known here") from None


def _needed(make: type, name: str) -> str:
    """How to say that a setting is needed."""
    kind = settings.kinds(make)[name]
    one = settings.scalar(kind)
    choices = f": {' or '.join(get_args(one))}" if get_origin(one) is Literal else ""
    return f"{_head(name, kind)} is needed: {usage.documents(make)[name].removesuffix('.')}{choices}"


def _require_known(name: str, names: list[str], given: str, place: str = "") -> None:
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
        raise UserError(f"{place}unknown setting {given!r}; the nearest valid one is {near[0].replace('_', '-')!r}")


def _words(values: Mapping[str, Any]) -> Words:
    """Settings as the words that stand for them, so that files, presets and flags are read by the same rules."""
    return {name: _spelled(value) for name, value in values.items()}


def _spelled(value: Any) -> list[str]:
    if isinstance(value, bool):
        return [str(value).lower()]
    return [str(part) for part in value] if isinstance(value, list | tuple) else [str(value)]


def _read(file: Path, make: type) -> Words:
    """The words of a YAML file."""
    try:
        written = documents.yaml_settings(file, as_written=True)
    except ValueError as error:
        raise UserError(f"cannot read --config {error}") from None
    kinds, values = settings.kinds(make), {}
    defaults = {field.name: field.default for field in dataclasses.fields(make)}
    for key, value in written.items():
        name = key.replace("-", "_")
        _require_known(name, list(kinds), key, f"--config {file}: ")
        if name == "config" or name in values:
            raise UserError(f"--config {file}: {key!r} cannot stand there{' twice' if name in values else ''}")
        if isinstance(value, dict) or (isinstance(value, list) and not all(isinstance(item, str) for item in value)):
            raise UserError(f"--config {file}: {key} takes a value or a list of values")
        values[name] = _meant(value, defaults[name], f"--config {file}: {key}")
    return _words(values)


def _meant(value: str | list[str] | None, default: Any, place: str) -> Any:
    """A value of a file as its setting takes it: the words for yes and no switch a flag, and say `auto` beside `off`."""
    switch = _SWITCH.get(value.lower()) if isinstance(value, str) else None
    if isinstance(default, bool):
        if switch is None:
            raise UserError(f"{place} must be true or false, got {value}")
        return switch
    if default == "off" and switch is not None:
        return "auto" if switch else "off"
    return value
