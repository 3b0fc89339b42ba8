"""Variants of a model that a command line names: some settings of its recipe, changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin

from ddjax.cli import UserError
from ddjax.cli.settings import kinds, scalar
from experiments.lazy import recipes

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


def _one(word: str, varied: Sequence[str]) -> dict[str, Any]:
    name, _, value = word.partition("=")
    if name not in varied or not value:
        raise UserError(
            f"--vary takes a setting and its values, such as beta=.5,1.5, got {word!r}; the settings: {', '.join(varied)}"
        )
    return {name: _value(name, kinds(recipes.Recipe)[name], value)}


def _value(name: str, kind: Any, word: str) -> Any:
    of = scalar(kind)
    if get_origin(of) is Literal:
        if word not in get_args(of):
            raise UserError(f"--vary {name} is one of {', '.join(get_args(of))}, got {word!r}")
        return word
    try:
        return {"true": True, "false": False}[word] if of is bool else of(word)
    except (KeyError, ValueError):
        raise UserError(f"--vary {name} takes {of.__name__}, got {word!r}") from None
