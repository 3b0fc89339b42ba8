"""Costs of meeting, `cost(x_0, x_1, cond) -> [n, n]`, where the noise x_1_j carries the condition cond_j.

    (A)  squared         ||x_0_i - x_1_j||^2
    (B)  within classes  (A) where cond_i = cond_j, infinite elsewhere
    (C)  near condition  (A) + w ||cond_i - cond_j||^2

Costs are float32 at least, whatever the precision of the batches. Where the means of data and noise are more than 30
spreads apart, (A) leaves out what that adds to whole rows and columns: it changes no permutation, and float32 could
hold nothing beside it. A pair that is measured as infinite, or not a number, costs NaN: infinity is for forbidden pairs.

(B) is exact: the noise of each class stays as it was drawn. (C) is C2OT for continuous conditions: the
smallest w at which no more than a stated share of the pairs (i, j), i != j, would change the condition of i
and cost less than (i, i), which keeps it. Before pairing, row i of x_0 and of x_1 share cond_i.
References: Cheng and Schwing, arXiv 2503.10636, section 3.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num

from ddjax.inputs import checked_array
from ddjax.transport.samples import alike, centred
from ddjax.types import Scalar, known, nan_unless_finite, precise

Data = Num[Array, "n *event"]
Cost = Callable[[Array, Array, Any], Float[Array, "n n"]]

_LARGEST = 2**31  # bytes of one cost matrix; solvers hold two or three more


def squared(x_0: Data, x_1: Data, cond: Any = None) -> Float[Array, "n n"]:
    """Eq. (A), blind to the condition.

    Raises: ValueError for batches of different shape, or too many points for memory (saying how much they
    need).
    """
    x_0, x_1 = checked_array(x_0, "data [n, *event]"), checked_array(x_1, "noise [n, *event]")
    if x_0.shape != x_1.shape or x_0.ndim < 1:
        raise ValueError(f"data and noise pair one to one and need equal shapes, got {x_0.shape=}, {x_1.shape=}")
    n = len(x_0)
    if 4 * n**2 > _LARGEST:
        gib, most = 4 * n**2 / 2**30, int((_LARGEST / 4) ** 0.5)
        raise ValueError(f"{n} points need {gib:.1f} GiB for each cost matrix; couple at most {most} at a time")
    return _squared_distances(*alike(x_0.reshape(n, -1), x_1.reshape(n, -1)))


def within_classes(x_0: Data, x_1: Data, labels: Int[Array, " n"]) -> Float[Array, "n n"]:
    """Eq. (B): pairs across classes are never made.

    Raises: ValueError as `squared`, and without a label for each example.
    """
    x_0 = checked_array(x_0, "data [n, *event]")
    if labels is not None:
        labels = checked_array(labels, "labels [n]")
    if labels is None or labels.shape != x_0.shape[:1]:
        raise ValueError(f"classes need one label for each example, got {x_0.shape=}, labels {_shape(labels)}")
    return jnp.where(labels[:, None] == labels[None, :], squared(x_0, x_1), jnp.inf)


def near_condition(share: Scalar = 0.99) -> Cost:
    """Eq. (C), with w found in each batch.

    Args:
        share: of the pairs (i, j), i != j, that keep the condition of i or cost no less than (i, i); in [0,
        1],
            1 - share being the r of C2OT. More keeps the noise independent of the condition, less transports
            better.
    Raises: ValueError for a share outside [0, 1]; the cost raises as `squared`, and without a condition [n,
    ...].
    """
    if known(share) and not 0 <= share <= 1:
        raise ValueError(f"share must lie in [0, 1], got {share=}")

    def near_condition_cost(x_0: Data, x_1: Data, cond: Num[Array, "n *c"]) -> Float[Array, "n n"]:
        x_0 = checked_array(x_0, "data [n, *event]")
        if cond is not None:
            cond = checked_array(cond, "conditions [n, *c]")
        if cond is None or cond.shape[:1] != x_0.shape[:1]:
            raise ValueError(f"need one condition for each example, got {x_0.shape=}, cond {_shape(cond)}")
        return _near(squared(x_0, x_1), precise(cond).reshape(len(x_0), -1), share)

    return near_condition_cost


def conditional(x_0: Data, x_1: Data, cond: Any = None) -> Float[Array, "n n"]:
    """What respects the condition that there is: eq. (A) for none, (B) for integers, (C) for floats.

    Raises: ValueError as these do, and for a condition that is not one array.
    """
    if cond is None:
        return squared(x_0, x_1)
    if not hasattr(cond, "dtype"):
        raise ValueError(f"a coupling respects one array of conditions, got {type(cond)}; give a cost of your own")
    if not jnp.issubdtype(cond.dtype, jnp.floating):
        return within_classes(x_0, x_1, cond)
    return near_condition()(x_0, x_1, cond)


@jax.jit
def _squared_distances(x: Float[Array, "n d"], y: Float[Array, "n d"]) -> Float[Array, "n n"]:
    # by products of centred batches: their rounding of 1e-7 |x| |y| moves no pairing
    x, y, apart = jax.lax.stop_gradient(centred(x, y))
    products = jnp.matmul(x, y.T, precision=jax.lax.Precision.HIGHEST)
    rows, columns, gap = jnp.sum(x**2, 1), jnp.sum(y**2, 1), jnp.sum(apart**2)
    spread = jnp.mean(rows) + jnp.mean(columns)
    held = (gap <= 1e3 * spread) | (spread == 0)
    rows += jnp.where(held, 2 * jnp.sum(x * apart[None], 1) + gap, 0.0)
    columns -= jnp.where(held, 2 * jnp.sum(y * apart[None], 1), 0.0)
    return jnp.maximum(nan_unless_finite(rows[:, None] + columns[None, :] - 2 * products), 0)


@jax.jit
def _near(cost: Float[Array, "n n"], cond: Float[Array, "n c"], share: Scalar) -> Float[Array, "n n"]:
    cond = cond.astype(cost.dtype)
    # by differences: equal conditions are then at distance 0 exactly
    distance = jax.lax.map(lambda c: jnp.sum((c[None] - cond) ** 2, 1), cond, batch_size=64)
    return cost + _condition_weight(cost, distance, share) * distance


def _condition_weight(cost: Float[Array, "n n"], distance: Float[Array, "n n"], share: Scalar) -> Float[Array, ""]:
    """The smallest w of eq. (C), by bisection of its logarithm about mean(cost) / mean(distance)."""
    n = len(cost)
    own = jnp.diag(cost)[:, None]  # has no condition term

    def tempted(w: Array) -> Array:
        """The share of pairs that would change the condition and cost less; it falls with w."""
        return jnp.sum((own > cost + w * distance) & (distance > 0)) / max(n * (n - 1), 1)

    def halve(bounds: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        low, high = bounds
        middle = (low + high) / 2
        enough = tempted(unit * jnp.exp(middle)) <= 1 - share
        return (jnp.where(enough, low, middle), jnp.where(enough, middle, high)), None

    mean = jnp.mean(distance)
    unit = jnp.where(mean > 0, jnp.mean(cost) / jnp.where(mean > 0, mean, 1.0), 0.0)
    ends = (jnp.asarray(-12.0, cost.dtype), jnp.asarray(25.0, cost.dtype))
    (_, high), _ = jax.lax.scan(halve, ends, None, length=24)
    return jnp.where(tempted(jnp.zeros_like(unit)) <= 1 - share, 0.0, unit * jnp.exp(high))


def _shape(value: Any) -> Any:
    return None if value is None else np.shape(value)
