"""`jax.jit` for functions of functions: one program for a step, a field or a denoiser, whatever its arrays hold.

The arguments are pytrees. Their arrays are arguments of the program; all else is compiled in. A program serves later calls only
where what is compiled in cannot change:

- numbers, strings, None, types, tuples of these, and frozen dataclasses of these, such as schedules, with no attribute beside
  their fields;
- the functions of this package;
- the function of a `jax.tree_util.Partial`, unless it is a closure (a decorated function is one) or a method, or a default of it
  might change; the class of a registered pytree, an Equinox module for instance; and the two functions of a `Network`: whoever
  makes one of these says that its functions depend on their arguments alone.

The factories of the package (`denoisers.bind`, `samplers.bridge`, `flows.velocity`, ...) return Partials, so a step that is built
anew around other parameters meets the program of the step before. Anything else, a lambda, a method, a callable object, is compiled
for the one call: slower, but what it reads may have changed.
"""

import dataclasses
import functools
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import jax
import numpy as np
from jax.tree_util import Partial

from ddjax.types import Network, known

PROGRAMS = 512  # the most that are kept, over all functions
_VALUES = (type(None), bool, int, float, complex, str, bytes)  # themselves: a subclass may hold more
_JITTED = type(jax.jit(lambda: None))
_called = weakref.WeakSet()  # code, or type of a callable object, that was compiled for one call before


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of pytrees, compiled once for each structure, shapes and dtypes of its arguments and each value that is no array.

    Where such a value might change, it is compiled for the one call, and the second such call warns.
    """

    @functools.wraps(function)
    def compiled_function(*args: Any) -> Any:
        args = jax.tree.map(_trusted, args, is_leaf=_is_network)
        leaves, structure = jax.tree.flatten(args)
        arrays = [leaf for leaf in leaves if _is_array(leaf)]
        values = tuple(None if _is_array(leaf) else (type(leaf), leaf) for leaf in leaves)  # the type, for 1 == True
        changeable = next(_changeable(leaves, structure), None)
        if changeable is None:
            return _program(function, values, structure)(arrays)
        if known(arrays):  # else it is part of a program of the caller's
            _warn_if_again(changeable[0])
        return _new_program(function, values, structure)(arrays)

    return compiled_function


def _new_program(function: Callable[..., Any], values: tuple, structure: Any) -> Callable[[list], Any]:
    def program(arrays: list[Any]) -> Any:
        rest = iter(arrays)
        return function(*jax.tree.unflatten(structure, [next(rest) if value is None else value[1] for value in values]))

    return jax.jit(program)


_program = functools.lru_cache(PROGRAMS)(_new_program)


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class _Pure:
    """A function of its arguments alone, a pytree without leaves."""

    function: Callable[..., Any]

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)


def _is_network(node: Any) -> bool:
    return isinstance(node, Network)


def _trusted(node: Any) -> Any:
    """A network with its functions declared pure; an `apply` that is a pytree keeps its arrays as leaves."""
    if not isinstance(node, Network):
        return node
    apply = node.apply if isinstance(node.apply, Partial) else _Pure(node.apply)
    return node._replace(init=_Pure(node.init), apply=apply)


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray | np.generic)


def _changeable(leaves: list[Any], structure: Any) -> Iterator[tuple[Any]]:
    """What might change of the values compiled in, each in a tuple, for one may be None's equal."""
    for leaf in leaves:
        if not (_is_array(leaf) or _is_ours(leaf) or _is_value(leaf)):
            yield (leaf,)
    for static in _statics(structure):
        if not (isinstance(static, _Pure) or _is_value(static) or _is_plain(static)):
            yield (static,)


def _statics(structure: Any) -> Iterator[Any]:
    """What the nodes of a pytree hold beside their children: the function of a Partial, the fixed fields of a dataclass."""
    node = structure.node_data()
    if node is not None:
        yield from node[1] if isinstance(node[1], tuple | list) else (node[1],)
    for child in structure.children():
        yield from _statics(child)


def _is_value(value: Any) -> bool:
    """Whether a value is the same for ever, and equal to no other that acts otherwise."""
    if type(value) is tuple:
        return all(map(_is_value, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        frozen = value.__dataclass_params__.frozen  # pyright: ignore[reportAttributeAccessIssue]
        fields = dataclasses.fields(value)
        names = {field.name for field in fields}
        more = getattr(value, "__dict__", {}).keys() - names  # a subclass may add what may change
        return frozen and not more and all(field.compare and _is_value(getattr(value, field.name)) for field in fields)
    return type(value) in _VALUES or isinstance(value, type | np.dtype)


def _is_plain(function: Any) -> bool:
    """Whether it is a function, as it is or behind `jax.jit`, that closes over nothing and whose defaults cannot change."""
    if isinstance(function, _JITTED):
        function = function.__wrapped__  # pyright: ignore[reportAttributeAccessIssue]
    if not isinstance(function, FunctionType) or _is_ours(function):
        return isinstance(function, FunctionType)
    defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
    return function.__closure__ is None and all(_is_value(default) or _is_plain(default) for default in defaults)


def _is_ours(leaf: Any) -> bool:
    """Whether it is a function of a module of this package. Its word alone is not enough: `functools.wraps` copies that."""
    if not isinstance(leaf, FunctionType) or str(leaf.__module__).partition(".")[0] != __package__:
        return False
    return getattr(sys.modules.get(leaf.__module__), leaf.__qualname__, None) is leaf


def _warn_if_again(value: Any) -> None:
    code = getattr(getattr(value, "__func__", value), "__code__", type(value))
    if code in _called:
        name = getattr(value, "__qualname__", type(value).__qualname__)
        warnings.warn(
            f"{name} may read what changes between calls, so it is compiled anew in each; for one program, give "
            f"denoisers.bind(denoiser, params), or jax.tree_util.Partial(function, *arrays) of a function that is no closure",
            stacklevel=4,
        )
    _called.add(code)
