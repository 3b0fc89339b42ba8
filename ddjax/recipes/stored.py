"""Recipes as a run folder stores them: {kind: Flow, network: {kind: Mlp, width: 128, ...}, optimizer: {...}, ...}.

`read` makes the same recipe of it, and of the flat form of older versions (`recipes.old`).
"""

import types
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Annotated, Any, Union, get_args, get_origin

from ddjax.cli.settings import kinds, refusal
from ddjax.recipes import old
from ddjax.recipes.consistency import Consistency
from ddjax.recipes.distributional import Distributional
from ddjax.recipes.flow import Flow
from ddjax.recipes.inflation import Inflation
from ddjax.recipes.mean_flow import MeanFlow
from ddjax.recipes.recipe import Recipe
from ddjax.recipes.regression import Regression

Kind = Distributional | Regression | Flow | Consistency | MeanFlow | Inflation


def stored(recipe: Any) -> dict[str, Any]:
    """A recipe, or a value in one, as plain values: its class's name as `kind`, tuples as lists.

    >>> recipe = Flow(name="small", event_shape=(2,))
    >>> stored(recipe)["network"]["width"], read(stored(recipe)) == recipe
    (128, True)
    """
    return {"kind": type(recipe).__name__} | {
        field.name: _plain(getattr(recipe, field.name)) for field in fields(recipe)
    }


def _plain(value: Any) -> Any:
    return stored(value) if is_dataclass(value) else list(value) if isinstance(value, tuple) else value


def entries(recipe: Recipe) -> dict[str, Any]:
    """The plain values of a recipe by their names, those of its network as `network.width`."""
    return dict(_leaves(stored(recipe), ""))


def _leaves(values: dict[str, Any], place: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{place}{name}.")
        else:
            yield f"{place}{name}", value


def read(values: dict[str, Any]) -> Recipe:
    """The recipe that was stored, entries that it lacks at their defaults.

    Raises: ValueError for what is not one, an entry that its kind has not, or a value that it cannot have.
    """
    if not isinstance(values, dict):
        raise ValueError(f"a recipe is a mapping, got {type(values).__name__}")
    try:
        return _value(Kind, values, "recipe") if "optimizer" in values else old.read(values)
    except ValueError as error:
        raise ValueError(f"the recipe {str(values.get('name'))[:60]!r}: {error}") from None
    except TypeError as error:
        raise ValueError(f"not a recipe: {error}") from None


def _value(hint: Any, value: Any, place: str) -> Any:
    """What was stored at a place of this type."""
    classes = {cls.__name__: cls for cls in _classes(hint)}
    if not classes:
        return tuple(value) if isinstance(value, list) else value
    if value is None and type(None) in get_args(hint):
        return None
    cls = classes.get(str(value.get("kind"))) if isinstance(value, dict) else None
    if cls is None or not isinstance(value, dict):
        raise ValueError(f"{place} is one of {', '.join(classes)}, got {str(value)[:60]}")
    hints = kinds(cls)
    given = {name: entry for name, entry in value.items() if name != "kind"}
    if unknown := [name for name in given if name not in hints]:
        raise ValueError(f"{cls.__name__} has no entry {str(unknown[0])[:60]!r}: this version does not know it")
    made = {name: _value(hints[name], entry, name) for name, entry in given.items()}
    if reason := refusal(cls, {name: entry for name, entry in made.items() if not _classes(hints[name])}):
        raise ValueError(reason)
    return cls(**made)


def _classes(hint: Any) -> list[type]:
    """The dataclasses among the types that a value may have."""
    if get_origin(hint) is Annotated:
        return _classes(get_args(hint)[0])
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return [part for part in parts if isinstance(part, type) and is_dataclass(part)]


def averages(recipe: Recipe) -> list[Recipe]:
    """The models that training one recipe yields: itself, and one for each other decay.

    >>> [each.name for each in averages(Flow(name="small", event_shape=(2,), other_decays=(0.99,)))]
    ['small', 'small, average 0.99']
    """
    alone = replace(recipe, other_decays=())
    others = [changed(alone, name=f"{recipe.name}, average {d:g}", ema_decay=d) for d in recipe.other_decays]
    return [alone, *others]


def changed(recipe: Recipe, **changes: Any) -> Recipe:
    """`dataclasses.replace` that finds a field where it is: of the recipe, or else of the value in it that has it.

    A class stands for its value, with what it shares with the one in its place: `rule=Imq` keeps lam.

    >>> changed(Flow(name="small", event_shape=(2,)), width=8, learning_rate=0.1).network.width
    8

    Raises: AttributeError for a field that the recipe has not; ValueError for one that does not go with the others.
    """
    own = {field.name: getattr(recipe, field.name) for field in fields(recipe)}
    made = own | {name: _of_class(own[name], entry) for name, entry in changes.items() if name in own}
    rest = {name: entry for name, entry in changes.items() if name not in own}
    for name, value in made.items():
        if is_dataclass(value):
            inside = {field.name: rest.pop(field.name) for field in fields(value) if field.name in rest}
            made[name] = replace(value, **inside) if inside else value  # pyright: ignore[reportArgumentType]
    if rest:
        raise AttributeError(f"{recipe.name!r} is a {type(recipe).__name__} and has no {', '.join(rest)}")
    return replace(recipe, **made)


def _of_class(value: Any, entry: Any) -> Any:
    if not isinstance(entry, type):
        return entry
    return entry(**{field.name: getattr(value, field.name) for field in fields(entry) if hasattr(value, field.name)})
