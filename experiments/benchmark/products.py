"""Operations of a function's products and convolutions, counted in its jaxpr: the model's arithmetic, on any device.

(1)  a product of [.., m, k] and [.., k, n] has 2 m k n operations, a convolution 2 for each output and number of its window
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax


def flops(function: Callable[..., Any], *args: Any) -> float:
    """Eq. (1) of all products of function(*args), inside other functions too; a loop's body counts once for each turn."""
    return _of(jax.make_jaxpr(function)(*args).jaxpr)


def _of(jaxpr: Any) -> float:
    return sum(_one(eqn) for eqn in jaxpr.eqns)


def _one(eqn: Any) -> float:
    if eqn.primitive.name == "dot_general":
        (contracted, _), _ = eqn.params["dimension_numbers"]
        shape = eqn.invars[0].aval.shape
        return 2.0 * eqn.outvars[0].aval.size * math.prod(shape[axis] for axis in contracted)
    if eqn.primitive.name == "conv_general_dilated":
        kernel, shape = eqn.params["dimension_numbers"].rhs_spec, eqn.invars[1].aval.shape
        return 2.0 * eqn.outvars[0].aval.size * math.prod(shape[axis] for axis in kernel[1:])
    return eqn.params.get("length", 1) * sum(map(_of, _inner(eqn)))


def _inner(eqn: Any) -> Iterator[Any]:
    for value in eqn.params.values():
        value = getattr(value, "jaxpr", value)
        if hasattr(value, "eqns"):
            yield value
