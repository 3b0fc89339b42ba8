"""Entropic transport plans between equal batches, and the permutations they round to.

    (A)  P = argmin <P, C> + epsilon <P, log P>  over plans with marginals 1/n
    (B)  n P_ij = exp((f_i + g_j - C_ij) / epsilon)

epsilon is relative to what is left of the cost in the mean once each row, and then each column, has given up
its minimum: constants of rows and columns change no plan, and so neither do data far from the origin. Plans are
computed in float32 at least.

`entropic` solves (A) with ott-jax to a tolerance. `annealed` runs a fixed 30 iterations while epsilon falls
(`transport.annealing`); at n = 256 it costs a third of ott's and rounds to cheaper permutations (docs/performance.md).
References: Cuturi, arXiv 1306.0895.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from ddjax.inputs import checked_count
from ddjax.transport.annealing import anneal, reduced
from ddjax.types import Scalar, known, precise


class Plan(NamedTuple):
    """log(n P) of eq. (B), and whether the share of mass that misses a marginal is within the tolerance."""

    log: Float[Array, "n n"]
    converged: Bool[Array, ""]


Planner = Callable[[Float[Array, "n n"]], Plan]


def annealed(
    cost: Num[Array, "n n"],
    *,
    epsilons: tuple[Scalar, ...] = (0.5, 0.1, 0.02),
    iterations: int = 10,
    tolerance: float = 0.1,
) -> Plan:
    """An approximate plan of eq. (A) at the last epsilon, by `iterations` of Sinkhorn's at each.

    Infinite costs forbid pairs; some permutation must do without them.

    Raises: ValueError unless all settings are positive.
    """
    positive = all(epsilon > 0 for epsilon in epsilons if known(epsilon))
    iterations = checked_count(iterations, "iterations")
    if not epsilons or not positive or not tolerance > 0:
        raise ValueError(f"need positive regularisation, got {epsilons=}, {tolerance=}")
    cost = precise(cost)
    *start, unit = reduced(cost)
    levels = unit * jnp.stack([jnp.asarray(epsilon, cost.dtype) for epsilon in epsilons])
    (f, g), lost = anneal(cost, tuple(start), levels, iterations)
    return Plan((f[:, None] + g[None, :] - cost) / levels[-1], lost <= tolerance)


def entropic(
    cost: Num[Array, "n n"], *, epsilon: Scalar = 0.02, tolerance: float = 1e-2, max_iterations: int = 2000
) -> Plan:
    """The plan of eq. (A) by ott-jax, iterated until the marginals miss less than `tolerance` of the mass.

    Raises: ValueError for an epsilon, tolerance or max_iterations that is not positive.
    """
    max_iterations = checked_count(max_iterations, "max_iterations")
    if (known(epsilon) and not epsilon > 0) or not tolerance > 0:
        raise ValueError(f"need positive regularisation, got {epsilon=}, {tolerance=}")
    return _entropic(precise(cost), epsilon, tolerance, max_iterations)


@partial(jax.jit, static_argnames=("tolerance", "max_iterations"))
def _entropic(cost: Float[Array, "n n"], epsilon: Scalar, tolerance: float, max_iterations: int) -> Plan:
    from ott.geometry.geometry import Geometry  # seconds to import, which only its users should pay
    from ott.solvers import linear

    dtype, widest = cost.dtype, jnp.result_type(float)  # ott makes its own arrays in the widest precision there is
    f, g, unit = reduced(cost)
    scaled = ((cost - f[:, None] - g[None, :]) / (jnp.asarray(epsilon, dtype) * unit)).astype(widest)
    # ott multiplies costs by plans: a forbidden pair must be finite, and beyond the reach of an exponential
    forbidden = cost == jnp.inf
    scaled = jnp.where(forbidden, jnp.max(scaled, where=~forbidden, initial=0.0) + 1e4, scaled)
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        geometry = Geometry(cost_matrix=scaled, epsilon=1.0)
        out: Any = linear.solve(geometry, threshold=tolerance, max_iterations=max_iterations)
        log = (out.f[:, None] + out.g[None, :] - scaled + math.log(len(cost))).astype(dtype)
    lost = [jnp.mean(jnp.abs(jnp.sum(jnp.exp(log), axis) - 1)) / 2 for axis in (0, 1)]
    return Plan(log, jnp.maximum(*lost) <= tolerance)


def to_permutation(plan: Plan) -> Int[Array, " n"]:
    """Round a plan: rows choose in turn, the most decided first, each the likeliest column still free.

    A permutation whatever the plan, and one without forbidden pairs where classes make blocks: the columns of a class
    are taken by its own rows, one each.

    Returns: under a trace, n at every place (an index of nothing: `jnp.take` gives NaN) for a plan that holds NaN.
    Raises: ValueError outside of a trace for a plan that holds NaN.
    """
    wrong = jnp.any(jnp.isnan(plan.log))
    if known(wrong) and wrong:
        raise ValueError(
            f"a plan rounds to a permutation, got {int(np.isnan(plan.log).sum())} NaN in {plan.log.shape=}"
        )
    return jnp.where(wrong, len(plan.log), _rounded(plan))


@jax.jit
def _rounded(plan: Plan) -> Int[Array, " n"]:
    n = len(plan.log)
    columns = jnp.arange(n, dtype=jnp.int32)
    least = jnp.finfo(plan.log.dtype).min

    def choose(taken: Bool[Array, " n"], row: Int[Array, ""]) -> tuple[Array, Array]:
        log = jnp.where(taken, -jnp.inf, jnp.maximum(plan.log[row], least))
        column = jnp.min(jnp.where(log >= jnp.max(log), columns, n))  # argmax, but vectorised on CPU
        return taken.at[column].set(True), column

    order = jnp.argsort(-jnp.max(plan.log, 1))
    _, chosen = jax.lax.scan(choose, jnp.zeros(n, bool), order)
    return jnp.zeros(n, jnp.int32).at[order].set(chosen)
