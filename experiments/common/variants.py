"""Variants of a model that a command line names: some settings of its recipe, changed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args, get_origin

from ddjax.cli import UserError
from ddjax.cli.settings import kinds, scalar
from ddjax.recipes import Kind, Network, Optimizer, Recipe, Rule, changed

# of every net: the objective, its times and its optimiser, not the net's size, the data or the budget
OBJECTIVE = (
    "rule", "beta", "lam", "population", "inject", "predicts", "weight", "bias", "time_exponent", "learning_rate", "clip",
    "ema_decay",
)  # fmt: skip


def variants(words: Sequence[str], varied: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The model itself under "", and by their names the changes of each variant.

    beta=.5,1.5 is two variants; beta=.5+inject=0 is one that changes both.
    Raises: UserError for words that are no setting among `varied` and its values.
    """
    found: dict[str, dict[str, Any]] = {"": {}}
    for word in words:
        parts = word.split("+")
        if len(parts) > 1:
            found |= {f" {' '.join(parts)}": {k: v for part in parts for k, v in _one(part, varied).items()}}
        else:
            name, _, values = word.partition("=")
            found |= {f" {name}={value}": _one(f"{name}={value}", varied) for value in values.split(",")}
    return found


def varied(
    models: Sequence[Recipe],
    words: Sequence[str],
    settings: Sequence[str],
    named: Callable[[str, str], str] = lambda name, variant: name + variant,
) -> list[Recipe]:
    """Every model, followed by its variants; those of a setting that it has not are left out.

    Args:
        words: of the command line. settings: that may vary. named: (name of a model, name of a variant) -> its name.
    Raises: UserError for words that are no setting and its values, or a setting that none of the models has.
    """
    made, applied = [], set()
    changes = variants(words, settings)
    for recipe in models:
        for variant, entries in changes.items():
            with contextlib.suppress(AttributeError):
                made.append(changed(recipe, **entries, name=named(recipe.name, variant)))
                applied.add(variant)
    if unknown := [variant for variant in changes if models and variant not in applied]:
        raise UserError(f"--vary{unknown[0]}: none of these models has such a setting")
    return made


def _one(word: str, varied: Sequence[str]) -> dict[str, Any]:
    name, _, value = word.partition("=")
    if name not in varied or not value:
        raise UserError(
            f"--vary takes a setting and its values, such as beta=.5,1.5, got {word!r}; the settings: {', '.join(varied)}"
        )
    return {name: _value(name, _type(name), value)}


def _type(name: str) -> Any:
    """That of a field, of the first class that has it."""
    classes = (*get_args(Kind), *get_args(Network), *get_args(Rule), Optimizer)
    return next(kinds(cls)[name] for cls in classes if name in kinds(cls))


def _value(name: str, kind: Any, word: str) -> Any:
    if kind == Rule:
        rules = {cls.__name__.lower(): cls for cls in get_args(Rule)}
        if word not in rules:
            raise UserError(f"--vary {name} is one of {', '.join(rules)}, got {word!r}")
        return rules[word]
    one = scalar(kind)
    if get_origin(one) is Literal:
        if word not in get_args(one):
            raise UserError(f"--vary {name} is one of {', '.join(get_args(one))}, got {word!r}")
        return word
    if word == "none" and type(None) in get_args(kind):
        return None
    try:
        return {"true": True, "false": False}[word] if one is bool else one(word)
    except (KeyError, ValueError):
        raise UserError(f"--vary {name} takes {one.__name__}, got {word!r}") from None
