"""`jax.jit` for functions of functions, so that a loop over a step, a field or a draw is compiled once.

The factories of the package return `jax.tree_util.Partial(function, *what it needs)`, which is a pytree. Its arrays (params,
conditions) are traced; the rest (networks, schedules, words) is compared by == and compiled in. A step built anew around
other params so meets the program of the step before. A plain function equals itself as long as the variables that it reads
are bound to the same objects; what it reads must not change inside them, as everywhere under jit.
"""

import functools
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

import jax
import numpy as np


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, compiled once for each structure, shapes and dtypes of its arguments, and each value that is no array.

    Where such a value cannot be hashed, a schedule that holds arrays for instance, it is called as it is.
    """

    @functools.partial(jax.jit, static_argnums=(1, 2))
    def run(arrays: list[Any], others: tuple[Any, ...], structure: Any) -> Any:
        leaves = [_value(other) if array is None else array for array, other in zip(arrays, others, strict=True)]
        return function(*jax.tree.unflatten(structure, leaves))

    @functools.wraps(function)
    def compiled_function(*args: Any) -> Any:
        leaves, structure = jax.tree.flatten(args)
        traced = [isinstance(leaf, jax.Array | np.ndarray | np.generic) for leaf in leaves]
        arrays = [leaf if is_array else None for leaf, is_array in zip(leaves, traced, strict=True)]
        others = tuple(None if is_array else _fixed(leaf) for leaf, is_array in zip(leaves, traced, strict=True))
        try:
            hash(others)
        except TypeError:
            return function(*args)
        return run(arrays, others, structure)

    return compiled_function


class _Reading:
    """A plain function and what it reads: equal for the same function as long as that is the same too."""

    def __init__(self, function: FunctionType):
        self.function, self.reads = function, [*_reads(function, set())]

    def __hash__(self) -> int:
        return hash(self.function)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Reading) or other.function is not self.function:
            return False
        return len(self.reads) == len(other.reads) and all(map(_same, self.reads, other.reads))


def _same(a: Any, b: Any) -> bool:
    return a is b


def _fixed(leaf: Any) -> Any:
    return _Reading(leaf) if isinstance(leaf, FunctionType) else leaf


def _value(other: Any) -> Any:
    return other.function if isinstance(other, _Reading) else other


def _reads(function: FunctionType, seen: set[FunctionType]) -> Iterator[Any]:
    """The objects bound to the free and global variables of a function, and of the functions among them."""
    seen.add(function)
    names = [name for name in _names(function.__code__) if name in function.__globals__]
    for value in [*_contents(function), *(function.__globals__[name] for name in names)]:
        yield value
        if isinstance(value, FunctionType) and value not in seen:
            yield from _reads(value, seen)


def _contents(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # a variable not bound yet
            yield None


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
