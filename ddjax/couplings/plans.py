"""Entropic transport plans between equal batches, and the permutations they round to.

    (1)  P = argmin <P, C> + epsilon <P, log P>  over plans with marginals 1/n
    (2)  n P_ij = exp((f_i + g_j - C_ij) / epsilon)

epsilon is relative to what is left of the cost in the mean once each row, and then each column, has given up
its minimum: constants of rows and columns change no plan, and so neither do data far from the origin.

`entropic` solves (1) with ott-jax to a tolerance. `annealed` runs a fixed 30 iterations while epsilon falls
and absorbs the scalings into f and g at each level, so that no kernel underflows against a growing scaling;
at n = 256 it costs a third of ott's and rounds to cheaper permutations (docs/performance.md).
References: Cuturi, arXiv 1306.0895; Schmitzer (absorption, scaling of epsilon), arXiv 1610.06519.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ddjax.types import Scalar


class Plan(NamedTuple):
    """log(n P) of eq. (2), and whether the share of mass that misses a marginal is within the tolerance."""

    log: Float[Array, "n n"]
    converged: Bool[Array, ""]


Planner = Callable[[Float[Array, "n n"]], Plan]
Potentials = tuple[Float[Array, " n"], Float[Array, " n"]]


def annealed(
    cost: Float[Array, "n n"],
    *,
    epsilons: tuple[float, ...] = (0.5, 0.1, 0.02),
    iterations: int = 10,
    tolerance: float = 0.1,
) -> Plan:
    """An approximate plan of eq. (1) at the last epsilon, by `iterations` of Sinkhorn's at each.

    Infinite costs forbid pairs; some permutation must do without them.

    Raises: ValueError unless all settings are positive.
    """
    if not epsilons or not all(epsilon > 0 for epsilon in epsilons) or iterations < 1 or not tolerance > 0:
        raise ValueError(f"need positive regularisation, got {epsilons=}, {iterations=}, {tolerance=}")
    f, g, unit = _reduced(cost)

    def level(potentials: Potentials, epsilon: Scalar) -> tuple[Potentials, Array]:
        f, g = potentials
        kernel = jnp.exp((f[:, None] + g[None, :] - cost) / epsilon)

        def scale(scalings: Potentials, _: None) -> tuple[Potentials, None]:
            u = 1 / (kernel @ scalings[1])
            return (u, 1 / (u @ kernel)), None

        ones = jnp.ones_like(f)
        (u, v), _ = jax.lax.scan(scale, (ones, ones), None, length=iterations)
        lost = jnp.mean(jnp.abs(u * (kernel @ v) - 1)) / 2  # of the rows; columns are exact after the last scaling
        return (f + epsilon * jnp.log(u), g + epsilon * jnp.log(v)), lost

    (f, g), lost = jax.lax.scan(level, (f, g), unit * jnp.array(epsilons, cost.dtype))
    return Plan((f[:, None] + g[None, :] - cost) / (epsilons[-1] * unit), lost[-1] <= tolerance)


def entropic(
    cost: Float[Array, "n n"], *, epsilon: float = 0.02, tolerance: float = 1e-2, max_iterations: int = 2000
) -> Plan:
    """The plan of eq. (1) by ott-jax, iterated until the marginals miss less than `tolerance` of the mass.

    Raises: ValueError for an epsilon, tolerance or max_iterations that is not positive.
    """
    from ott.geometry.geometry import Geometry  # seconds to import, which only its users should pay
    from ott.solvers import linear

    if not epsilon > 0 or not tolerance > 0 or max_iterations < 1:
        raise ValueError(f"need positive regularisation, got {epsilon=}, {tolerance=}, {max_iterations=}")
    f, g, unit = _reduced(cost)
    scaled = (cost - f[:, None] - g[None, :]) / (epsilon * unit)
    # ott multiplies costs by plans: a forbidden pair must be finite, and beyond the reach of an exponential
    scaled = jnp.where(jnp.isfinite(scaled), scaled, jnp.max(scaled, where=jnp.isfinite(scaled), initial=0.0) + 1e4)
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        geometry = Geometry(cost_matrix=scaled, epsilon=1.0)
        out = linear.solve(geometry, threshold=tolerance, max_iterations=max_iterations)
        log = out.f[:, None] + out.g[None, :] - scaled + math.log(len(cost))
    lost = [jnp.mean(jnp.abs(jnp.sum(jnp.exp(log), axis) - 1)) / 2 for axis in (0, 1)]
    return Plan(log, jnp.maximum(*lost) <= tolerance)


def to_permutation(plan: Plan) -> Int[Array, " n"]:
    """Round a plan: rows choose in turn, the most decided first, each the likeliest column still free.

    A permutation whatever the plan (NaN counts as least likely), and one without forbidden pairs where
    classes make blocks: the columns of a class are taken by its own rows, one each.
    """
    n = len(plan.log)
    columns = jnp.arange(n, dtype=jnp.int32)
    least = jnp.finfo(plan.log.dtype).min

    def choose(taken: Bool[Array, " n"], row: Int[Array, ""]) -> tuple[Array, Array]:
        log = jnp.where(taken, -jnp.inf, jnp.fmax(plan.log[row], least))
        column = jnp.min(jnp.where(log >= jnp.max(log), columns, n))  # argmax, but vectorised on CPU
        return taken.at[column].set(True), column

    order = jnp.argsort(-jnp.max(plan.log, 1))
    _, chosen = jax.lax.scan(choose, jnp.zeros(n, bool), order)
    return jnp.zeros(n, jnp.int32).at[order].set(chosen)


def _reduced(cost: Float[Array, "n n"]) -> tuple[Float[Array, " n"], Float[Array, " n"], Float[Array, ""]]:
    """Minima of rows, then of columns, and the mean of what is left where finite (above rounding)."""
    f = jnp.min(cost, 1)
    g = jnp.min(cost - f[:, None], 0)
    left = cost - f[:, None] - g[None, :]
    finite = jnp.isfinite(left)
    mean = jnp.sum(jnp.where(finite, left, 0.0)) / jnp.sum(finite, dtype=cost.dtype)
    info = jnp.finfo(cost.dtype)
    return f, g, jnp.maximum(mean, 100 * info.eps * jnp.max(jnp.abs(f)) + 100 * info.tiny)
