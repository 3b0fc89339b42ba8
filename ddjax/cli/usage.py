"""What `--help` shows: the flags of a settings class in groups, the common ones first, each with its range and default.

A settings class tells an example of its own in the last paragraph of its docstring, after the word `Example:`.
"""

import ast
import dataclasses
import inspect
import itertools
import shutil
import textwrap
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from ddjax.cli import settings

COMMON, OWN = "common", "this command"
_GROUPS = {
    COMMON: "out resume steps seeds batch nfe data preset full short",
    OWN: "",
    "model": "population beta lam inject predicts weight time_exponent net width depth residual time patch overlap attention "
    "dropout bfloat16 remat score_patch score_scales score_differences bias conditional baseline",
    "training": "learning_rate weight_decay warmup clip ema_decay other_decays accumulate label_dropout together",
    "sampling": "samples repeats blocks churn guidance inception",
    "run": "config save_every log_every tensorboard deterministic",
    "devices": "distributed model_shards fully_sharded memory_fraction resident",
}
GROUPS = {name: tuple(names.split()) for name, names in _GROUPS.items()}
_WORDS = {int: "INT", float: "FLOAT", str: "WORD", Path: "PATH"}
_LEAST, _MOST = 60, 110  # columns


def text(make: type, program: str, presets: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """The whole help of a command."""
    width = max(_LEAST, min(_MOST, shutil.get_terminal_size().columns))
    paragraphs = [" ".join(part.split()) for part in (inspect.getdoc(make) or "").split("\n\n")]
    examples = [part.partition("Example:")[2].strip() for part in paragraphs if part.startswith("Example:")]
    told = [part for part in paragraphs if not part.startswith("Example:")]
    kinds, documented = settings.kinds(make), documents(make)
    first = [name for name in kinds if positional(kinds[name])]
    lines = [f"usage: {' '.join([program, *map(str.upper, first)])} [--flags]", ""]
    for part in told:
        lines += [*textwrap.wrap(part, width, break_on_hyphens=False), ""]
    defaults = {field.name: field.default for field in dataclasses.fields(make)}
    for group, names in grouped([*kinds]).items():
        lines.append(f"{group}:")
        for name in names:
            lines += _row(name, kinds[name], defaults[name], documented.get(name, ""), width)
        lines.append("")
    for flag, values in (presets or {}).items():
        stands = ", ".join(f"{name.replace('_', '-')} {_shown(value)}" for name, value in values.items())
        lines += textwrap.wrap(f"--{flag} stands for: {stands}", width, subsequent_indent="  ", break_on_hyphens=False)
    if presets:
        lines.append("")
    return "\n".join([*lines, *(f"example: {example}" for example in examples)]).strip() + "\n"


def grouped(names: list[str]) -> dict[str, list[str]]:
    """The names in their groups, without empty ones; what no group has belongs to the command itself."""
    known = {name for group in GROUPS.values() for name in group}
    of = {group: [name for name in members if name in names] for group, members in GROUPS.items()}
    of[OWN] = [name for name in names if name not in known]
    return {group: members for group, members in of.items() if members}


def documents(make: type) -> dict[str, str]:
    """The string below each setting in the source of its class, or of the one that it inherits it from."""
    told: dict[str, str] = {}
    for cls in reversed(make.__mro__[:-1]):
        body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0].body  # type: ignore[attr-defined]
        for stated, below in itertools.pairwise(body):
            if (
                isinstance(stated, ast.AnnAssign)
                and isinstance(stated.target, ast.Name)
                and isinstance(below, ast.Expr)
            ):
                told[stated.target.id] = " ".join(ast.literal_eval(below.value).split())
    return told


def positional(kind: Any) -> bool:
    """Whether a setting is a word without a flag."""
    return any("Positional" in repr(mark) for mark in getattr(kind, "__metadata__", ()))


def _row(name: str, kind: Any, default: Any, told: str, width: int) -> Iterator[str]:
    """A flag, what it takes, and beside or below it what it does."""
    flag, indent = f"--{name.replace('_', '-')}", 26
    word = _word(kind)
    if positional(kind):
        head = f"  {name.upper()}"
    elif word:
        head = f"  {flag} {word}"
    else:
        head = f"  {flag}, --no-{flag[2:]}"
    ranges = "".join(f"{rule}; " for rule in settings.ranges(kind))
    needed = default is dataclasses.MISSING
    if needed:
        told += " (required)"
    elif ranges or default is not None or "(default:" not in told:
        told += f" ({ranges}default: {_shown(default)})"
    wrapped = textwrap.wrap(told, width - indent, break_on_hyphens=False)
    beside = len(head) < indent - 1
    yield head.ljust(indent) + wrapped.pop(0) if beside else head
    yield from (" " * indent + line for line in wrapped)


def _word(kind: Any) -> str:
    """What a flag takes, in capitals or as its choices; nothing for a switch."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, types.UnionType):
        return next(word for part in get_args(kind) if part is not type(None) for word in [_word(part)])
    if get_origin(kind) is tuple:
        one = _word(get_args(kind)[0])
        return f"{one} [...]"
    if get_origin(kind) is Literal:
        return "{" + ",".join(map(str, get_args(kind))) + "}"
    return "" if kind is bool else _WORDS.get(kind, "WORD")


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
