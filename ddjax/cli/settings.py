"""What a setting may be: stated once, beside its type, and checked before anything runs.

    steps: Count = 3000
    churn: tuple[Fraction, ...] = (0.0, 1.0)
    bandwidth: Annotated[float, Range(0.5, 2)] = 1.0
    out: FolderToWrite | None = None

By its type alone a whole number fits into 32 bits, a real one is finite in single precision, a tuple holds at least one
value and none twice, and text is not empty. What binds several settings is a method `check` of their class, and what they
need in memory a method `floats`. Nothing here imports jax.
"""

import os
import struct
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

Settings = TypeVar("Settings")
LARGEST = 2**31 - 1
MAY_BE_EMPTY, MAY_REPEAT = (
    "may be empty",
    "may repeat",
)  # beside the type of a tuple; the first beside that of text, too


class UserError(Exception):
    """A mistake of the user, told in one sentence."""


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`; `ends` says which of the two belong to it."""

    low: int | float
    high: int | float = float("inf")
    ends: Literal["[]", "[)", "(]", "()"] = "[]"

    def __str__(self) -> str:
        if self.high < float("inf"):
            return f"in {self.ends[0]}{self.low:g}, {self.high:g}{self.ends[1]}"
        return f"{'at least' if self.ends[0] == '[' else 'above'} {self.low:g}"

    def refusal(self, flag: str, value: int | float) -> str | None:
        """Why a number is none of them: in single precision, as programs will see it."""
        seen = value if isinstance(value, int) else _single(value)
        above = seen >= self.low if self.ends[0] == "[" else seen > self.low
        below = seen <= self.high if self.ends[1] == "]" else seen < self.high
        if above and below:
            return None
        precision = "" if isinstance(value, int) or value == seen else " in single precision"
        return f"{flag} must {'lie' if self.high < float('inf') else 'be'} {self}{precision}, got {_shown(value)}"


@dataclass(frozen=True)
class Multiple:
    """The positive multiples of a whole number."""

    of: int

    def __str__(self) -> str:
        return f"a multiple of {self.of}"

    def refusal(self, flag: str, value: int | float) -> str | None:
        """Why a number is none of them."""
        return None if value > 0 and value % self.of == 0 else f"{flag} must be {self}, got {_shown(value)}"


class Rule(NamedTuple):
    """Why a value will not do, or None: `refusal(flag, value)`."""

    refusal: Callable[[str, Any], str | None]


def _unwritable(flag: str, path: Path) -> str | None:
    above = path.absolute().parent
    while not above.exists():
        above = above.parent
    if not above.is_dir():
        return f"cannot write to {flag} {path}: {above} is not a folder"
    return None if os.access(above, os.W_OK | os.X_OK) else f"cannot write to {flag} {path}: {above} is read-only"


def _no_folder_to_write(flag: str, path: Path) -> str | None:
    if os.path.lexists(path) and not path.is_dir():
        return f"cannot write to {flag} {path}: it is not a folder"
    return _unwritable(flag, path)


def _no_file_to_write(flag: str, path: Path) -> str | None:
    if os.path.lexists(path) and (path.is_symlink() or not path.is_file()):
        kind = "a link" if path.is_symlink() else "a folder" if path.is_dir() else "a pipe or a device"
        return f"cannot write to {flag} {path}: it is {kind}, and only a plain file is ever replaced"
    if not path.absolute().parent.is_dir():
        return f"cannot write to {flag} {path}: its folder does not exist"
    return _unwritable(flag, path)


def _no_file(flag: str, path: Path) -> str | None:
    return None if path.is_file() else f"{flag} {path} is not a file"


def _no_folder(flag: str, path: Path) -> str | None:
    return None if path.is_dir() else f"{flag} {path} is not a folder"


Count = Annotated[int, Range(1)]
Depth = Annotated[int, Range(1, 1000)]  # layers are traced one by one
Steps = Annotated[int, Range(1, 10_000)]  # of a sampler
Seed = Annotated[int, Range(0)]
Seeds = Annotated[int, Range(1, 1000)]  # how many
Positive = Annotated[float, Range(0, ends="(]")]
NonNegative = Annotated[float, Range(0)]
Fraction = Annotated[float, Range(0, 1)]
Exponent = Annotated[float, Range(0, 2, "(]")]  # of the energy score
Decay = Annotated[float, Range(0, 1, "[)")]
FolderToWrite = Annotated[Path, Rule(_no_folder_to_write)]
FileToWrite = Annotated[Path, Rule(_no_file_to_write)]
FileToRead = Annotated[Path, Rule(_no_file)]
FolderToRead = Annotated[Path, Rule(_no_folder)]


def check(settings: Any) -> None:
    """Raises: UserError for settings that no run can have, or that this machine cannot hold."""
    values = {name: getattr(settings, name) for name in kinds(type(settings))}
    if reason := refusal(type(settings), values, flag=lambda name: "--" + name.replace("_", "-")):
        raise UserError(reason)
    getattr(settings, "check", lambda: None)()
    if getattr(settings, "distributed", "off") == "off":  # the memory of other machines is not known
        _require_memory(settings, getattr(settings, "floats", dict)())


def refusal(make: type, values: dict[str, Any], *, flag: Callable[[str], str] = str) -> str | None:
    """Why the types of a class of settings, or the rules beside them, do not allow one of the values; None where they do.

    Args:
        values: by their names, of which the class may have more. flag: how a setting is called, by its name.
    """
    known = [(name, kind) for name, kind in kinds(make).items() if name in values]
    return next((reason for name, kind in known for reason in _refusals(flag(name), kind, values[name])), None)


def kinds(make: type) -> dict[str, Any]:
    """The type of each setting, with its rules."""
    hints = get_type_hints(make, include_extras=True)
    return {field.name: hints[field.name] for field in fields(make)}


def ranges(kind: Any) -> list[Range | Multiple]:
    """What stands beside a type of numbers, or beside the types that it is made of."""
    beside = getattr(kind, "__metadata__", ())
    return [rule for rule in beside if isinstance(rule, Range | Multiple)] + [
        rule for part in get_args(kind) for rule in ranges(part)
    ]


def scalar(kind: Any) -> Any:
    """The type of one value: int of `tuple[int, ...]` and of `int | None`; a Literal is one already."""
    parts = [part for part in get_args(kind) if part is not type(None)]
    return scalar(parts[0]) if parts and get_origin(kind) is not Literal else kind


def _refusals(flag: str, kind: Any, value: Any) -> Iterator[str]:
    """Each reason against a value, the rules of its type's parts first."""
    beside: Sequence[Any] = ()
    if get_origin(kind) is Annotated:
        kind, *beside = get_args(kind)
    if isinstance(value, tuple) and get_origin(kind) is tuple:
        if not value and MAY_BE_EMPTY not in beside:
            yield f"{flag} needs at least one value"
        for part in value:
            yield from _refusals(flag, get_args(kind)[0], part)
        words = [f"{part:g}" if isinstance(part, float) else str(part) for part in value]  # as they become names
        if MAY_REPEAT not in beside and (twice := [word for i, word in enumerate(words) if word in words[:i]]):
            yield f"{flag} holds {twice[0]} twice"
    elif get_origin(kind) in (Union, types.UnionType):
        if value is not None:
            yield from _refusals(flag, next(part for part in get_args(kind) if part is not type(None)), value)
    elif not _is(kind, value):
        yield f"{flag} must be {_words(kind)}, got {_shown(repr(value))}"
    elif isinstance(value, int) and abs(value) > LARGEST:
        yield f"{flag} must be at most {LARGEST:,} in size, got {_shown(value)}"
    elif isinstance(value, float) and not abs(_single(value)) < float("inf"):
        yield f"{flag} must be finite in single precision, got {value:g}"
    elif isinstance(value, str) and not value.strip() and MAY_BE_EMPTY not in beside:
        yield f"{flag} must not be empty"
    else:
        yield from filter(None, (rule.refusal(flag, value) for rule in beside if hasattr(rule, "refusal")))


def _is(kind: Any, value: Any) -> bool:
    """Whether a value that no command line made, but a file, is of its type."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if isinstance(value, bool) and kind is not bool:
        return False
    return isinstance(value, (int, float) if kind is float else get_origin(kind) or kind)


def _words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text", tuple: "a list"}
    return names.get(get_origin(kind) or kind, "another value")


def _single(value: float) -> float:
    try:
        return struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        return float("inf") if value > 0 else -float("inf")


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _require_memory(settings: Any, floats: dict[tuple[str, ...], int | float]) -> None:
    here = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for names, numbers in floats.items():
        if 4 * numbers > here:
            told = " ".join(f"--{name.replace('_', '-')} {getattr(settings, name)}" for name in names)
            raise UserError(f"{told}: needs at least {4e-9 * numbers:,.0f} GB, and this machine has {1e-9 * here:,.0f}")
