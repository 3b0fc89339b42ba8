"""Values out of settings that have fields of the same names: a command line is flat, and a recipe is made of values."""

from dataclasses import fields
from typing import Any, TypeVar

Value = TypeVar("Value")


def part(make: type[Value], settings: Any, **given: Any) -> Value:
    """A value of a dataclass, of fields that `settings` has too; those `given` are as they stand here.

    >>> from ddjax.recipes.networks import Layers, Mlp
    >>> part(Mlp, Layers(width=8), residual=True)
    Mlp(width=8, depth=4, residual=True, time='features')
    """
    names = [field.name for field in fields(make) if hasattr(settings, field.name)]  # pyright: ignore[reportArgumentType]
    return make(**{name: getattr(settings, name) for name in names} | given)
