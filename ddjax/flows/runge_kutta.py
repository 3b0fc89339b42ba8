"""Explicit Runge-Kutta steps along a field, as kernels `step(key, x_t, t, s) -> x_s` for `samplers.sample`.

    (A)  slope_i = field(x_t + h sum_{j < i} rows[i][j] slope_j,  t + nodes[i] h),   h = s - t < 0
    (B)  x_s = x_t + h sum_i weights[i] slope_i

Each stage calls the field anew, so guidance inside it acts at every stage, and gets a key of its own.
References: Hairer, Norsett and Wanner, Solving Ordinary Differential Equations I, section II.1.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array

from ddjax.inputs import checked_denoise, checked_key
from ddjax.types import Field, Key, Scalar, Step, floating, shaped


class Tableau(NamedTuple):
    """The coefficients of eq. (A) and (B); stage i has i earlier slopes, and calls the field once."""

    nodes: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]


def runge_kutta(field: Field, tableau: Tableau) -> Step:
    """The step of eq. (A) and (B). Sums are float32 or better; the field sees, and the step returns, the dtype of x_t.

    Raises: the step, ValueError for an x_t of integers, or a field that returns another shape.
    """
    return Partial(_step, checked_denoise(field, "field"), tableau)


def _step(field: Field, tableau: Tableau, key: Key, x_t: Array, t: Scalar, s: Scalar) -> Array:
    x_t, t, s = floating(x_t, "states"), jnp.asarray(t, float), jnp.asarray(s, float)
    slopes: list[Array] = []
    keys = jax.random.split(checked_key(key), len(tableau.nodes))
    for key_stage, node, row in zip(keys, tableau.nodes, tableau.rows, strict=True):
        x = _advance(x_t, s - t, row, slopes)
        slope = field(key_stage, x, jnp.full(x.shape[:1], t + node * (s - t)))
        slopes.append(jnp.asarray(shaped(slope, x.shape, "a field"), float))
    return _advance(x_t, s - t, tableau.weights, slopes)


def _advance(x: Array, h: Array, weights: tuple[float, ...], slopes: list[Array]) -> Array:
    terms = [weight * slope for weight, slope in zip(weights, slopes, strict=True) if weight]
    return (jnp.asarray(x, float) + h * sum(terms)).astype(x.dtype) if terms else x


def euler(field: Field) -> Step:
    """First order, one call: x_s = x_t + h field(x_t, t).

    >>> step = euler(lambda key, x_t, t: 2 * x_t)
    >>> print(step(jax.random.key(0), jnp.array([1.0]), jnp.array(1.0), jnp.array(0.5)))  # 1 + (0.5 - 1) 2
    [0.]
    """
    return runge_kutta(field, Tableau((0.0,), ((),), (1.0,)))


def midpoint(field: Field) -> Step:
    """Second order, two calls: the slope half way."""
    return runge_kutta(field, Tableau((0.0, 0.5), ((), (0.5,)), (0.0, 1.0)))


def heun(field: Field) -> Step:
    """Second order, two calls: the mean of the slopes at both ends.

    >>> step = heun(lambda key, x_t, t: 2 * t * jnp.ones_like(x_t))
    >>> print(step(jax.random.key(0), jnp.array([1.0]), jnp.array(1.0), jnp.array(0.5)))  # exact: 1 + 0.5^2 - 1^2
    [0.25]
    """
    return runge_kutta(field, Tableau((0.0, 1.0), ((), (1.0,)), (0.5, 0.5)))


def kutta3(field: Field) -> Step:
    """Third order, three calls, none of them at s: Heun's method of 1900."""
    return runge_kutta(field, Tableau((0.0, 1 / 3, 2 / 3), ((), (1 / 3,), (0.0, 2 / 3)), (0.25, 0.0, 0.75)))


def rk4(field: Field) -> Step:
    """Fourth order, four calls: the classical method of Kutta."""
    rows = ((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0))
    return runge_kutta(field, Tableau((0.0, 0.5, 0.5, 1.0), rows, (1 / 6, 1 / 3, 1 / 3, 1 / 6)))
