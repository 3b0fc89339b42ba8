"""The cheapest permutation, exactly, by shortest augmenting paths from annealed potentials, all inside XLA.

    (1)  slack_ij = C_ij - f_i - g_j >= 0,   and = 0 on the pairs that are made

Any f and g that keep (1) may start. Those of the annealed Sinkhorn plan leave a tenth of the rows to be paired by
paths, and these paths short: several times faster than SciPy at every size, and no host callback, which can wait for
ever for the thread that it runs on (docs/performance.md).
References: Jonker and Volgenant, Computing 38 (1987); Crouse, IEEE Trans. Aerosp. Electron. Syst. 52 (2016), alg. 2.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from ddjax.inputs import checked_array
from ddjax.transport.annealing import anneal
from ddjax.types import known, precise

_EPSILONS, _ITERATIONS = (0.5, 0.1, 0.03, 0.01, 0.003), 10
_LARGEST = 1e37  # of a cost, so that no difference overflows


class Pairs(NamedTuple):
    """Who is paired with whom so far (-1: nobody), and what the potentials have moved."""

    row_of: Int[Array, " n"]
    column_of: Int[Array, " n"]
    f: Float[Array, " n"]
    g: Float[Array, " n"]


class Search(NamedTuple):
    """Shortest paths by Dijkstra: from a free row to all columns, in the order of their distance."""

    row: Int[Array, ""]  # the next one to leave from; -1: a free column is reached
    column: Int[Array, ""]
    reach: Float[Array, ""]
    distance: Float[Array, " n"]
    before: Int[Array, " n"]  # the row that a column is reached from
    closed: Bool[Array, " n"]


def assignment(cost: Num[Array | np.ndarray, "n n"]) -> Int[Array, " n"]:
    """The permutation that minimises sum_i cost[i, permutation[i]], to the rounding of the cost; infinite costs forbid pairs.

    Returns: under a trace, n at every place (an index of nothing: `jnp.take` gives NaN) where there is no answer.
    Raises: ValueError for a matrix that is not square, and, outside of a trace, for one with NaN or with numbers beyond
        1e37 in size, or that forbids every permutation.

    >>> assignment(np.array([[1.0, 0.0], [5.0, 3.0]])).tolist()  # 0 + 5 costs more than 1 + 3
    [0, 1]
    """
    cost = checked_array(cost, "a cost [n, n]")
    if cost.ndim != 2 or cost.shape[0] != cost.shape[1]:
        raise ValueError(f"an assignment needs a square cost, got {cost.shape=}")
    permutation = cheapest(jax.lax.stop_gradient(precise(cost)))
    if known(permutation) and (np.asarray(permutation) == len(cost)).any():
        raise ValueError(f"no permutation has a finite cost: NaN, beyond 1e37, or all forbidden, in {cost.shape=}")
    return permutation


@jax.jit
def cheapest(cost: Float[Array, "n n"]) -> Int[Array, " n"]:
    """`assignment` without its checks: n at every place where there is no answer."""
    n = len(cost)
    if n == 0:
        return jnp.zeros(0, jnp.int32)
    sound = jnp.all((jnp.abs(cost) <= _LARGEST) | (cost == jnp.inf))
    slack = _slack(jnp.where(sound, cost, 0.0))
    pairs = jax.lax.while_loop(
        lambda pairs: jnp.any(pairs.column_of < 0), lambda pairs: _augmented(slack, pairs), _tight(slack)
    )
    forbidden = jnp.take_along_axis(cost, pairs.column_of[:, None], 1)[:, 0] == jnp.inf
    return jnp.where(sound & ~jnp.any(forbidden), pairs.column_of, n)


def _slack(cost: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Eq. (1) in units of its largest value, with a 0 in each row and column; forbidden pairs cost more than any others."""
    (f, g), _, _ = anneal(cost, _EPSILONS, _ITERATIONS)
    sound = jnp.all(jnp.isfinite(f)) & jnp.all(jnp.isfinite(g))  # they are not where a row forbids every column
    slack = cost - jnp.where(sound, f, 0.0)[:, None] - jnp.where(sound, g, 0.0)[None, :]
    slack -= jnp.min(slack, 0, keepdims=True)
    slack -= jnp.min(slack, 1, keepdims=True)
    allowed = jnp.isfinite(slack)
    largest = jnp.max(slack, where=allowed, initial=0.0)
    return jnp.where(allowed, slack / jnp.where(largest == 0, 1.0, largest), 2.0 * len(cost))


def _tight(slack: Float[Array, "n n"]) -> Pairs:
    """Each row in turn takes the first free column at slack 0, if there is one."""
    n = len(slack)
    columns = jnp.arange(n, dtype=jnp.int32)

    def choose(row_of: Array, row: Array) -> tuple[Array, Array]:
        column = jnp.min(jnp.where((slack[row] <= 0) & (row_of < 0), columns, n))
        return row_of.at[column].set(row, mode="drop"), jnp.where(column < n, column, -1)

    row_of, column_of = jax.lax.scan(choose, jnp.full_like(columns, -1), columns)
    return Pairs(row_of, column_of, jnp.zeros_like(slack[0]), jnp.zeros_like(slack[0]))


def _augmented(slack: Float[Array, "n n"], pairs: Pairs) -> Pairs:
    """One more row paired, by the shortest path of slacks to a free column."""
    n, dtype = len(slack), slack.dtype
    columns = jnp.arange(n, dtype=jnp.int32)
    row_of, column_of, f, g = pairs
    first = jnp.min(jnp.where(column_of < 0, columns, n - 1))

    def extend(search: Search) -> Search:
        row, _, reach, distance, before, closed = search
        through = reach + slack[row] - f[row] - g
        nearer = (through < distance) & ~closed
        distance, before = jnp.where(nearer, through, distance), jnp.where(nearer, row, before)
        ahead = jnp.where(closed, jnp.inf, distance)
        reach = jnp.min(ahead)
        column = jnp.min(jnp.where((ahead <= reach) & ~closed, columns, n - 1))  # argmin, but vectorised on CPU
        return Search(row_of[column], column, reach, distance, before, closed.at[column].set(True))

    nowhere = jnp.full_like(columns, -1)
    start = Search(first, jnp.int32(-1), jnp.zeros((), dtype), jnp.full_like(f, jnp.inf), nowhere, nowhere == 0)
    search = jax.lax.while_loop(lambda search: search.row >= 0, extend, start)
    moved = jnp.where(search.closed, search.reach - search.distance, 0.0)
    f = f.at[jnp.where(search.closed & (row_of >= 0), row_of, n)].add(moved, mode="drop").at[first].add(search.reach)

    def turn(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        column, row_of, column_of, _ = carry
        row = search.before[column]
        return column_of[row], row_of.at[column].set(row), column_of.at[row].set(column), row

    back = (search.column, row_of, column_of, jnp.int32(-1))
    _, row_of, column_of, _ = jax.lax.while_loop(lambda carry: carry[3] != first, turn, back)
    return Pairs(row_of, column_of, f, g - moved)
