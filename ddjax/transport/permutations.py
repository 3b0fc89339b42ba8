"""The cheapest permutation, exactly, by shortest augmenting paths from annealed potentials, all inside XLA.

    (A)  slack_ij = C_ij - f_i - g_j >= 0,   and = 0 on the pairs that are made
    (B)  sum_i C_i,pi(i) - min <= 1e-10 sum_i |C_i,pi(i)|,   shown by the duality gap of f and g on C itself

Any f and g that keep (A) may start. Those of the annealed Sinkhorn plan leave a tenth of the rows to be paired by
paths, and these paths short: several times faster than SciPy at every size, and no host callback, which can wait for
ever for the thread that it runs on (docs/performance.md).

Potentials, slacks and paths are float64, whatever the precision that JAX is set to. They are rounded in proportion to the
largest pair, so that one pass may not show (B) where some pairs cost 10^5 times the permutation. But no pair of the best
permutation costs more than another permutation, once rows and columns have given up their minima. The next pass leaves such
pairs out. A float32 cost may so span all its 77 decades.
References: Jonker and Volgenant, Computing 38 (1987); Crouse, IEEE Trans. Aerosp. Electron. Syst. 52 (2016), alg. 2.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from ddjax.inputs import checked_array
from ddjax.transport.annealing import Potentials, anneal
from ddjax.types import known, precise

_EPSILONS, _ITERATIONS = (0.5, 0.1, 0.03, 0.01, 0.003, 0.001), 10
_LARGEST = 1e290  # of a cost, so that no sum overflows
_GAP = 1e-10  # of eq. (B), in units of the sum of |C_i,pi(i)|
_PASSES = 8  # each of which leaves out at least 10 decades of a range of 77, unless signed costs cancel


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


class Pass(NamedTuple):
    """A permutation, how much dearer than the best it can be, and both sums that it is compared with."""

    column_of: Int[Array, " n"]
    gap: Float[Array, ""]
    size: Float[Array, ""]  # sum of |C_i,pi(i)|
    rest: Float[Array, ""]  # sum of the pairs after rows and columns have given up their minima
    number: Int[Array, ""]


def assignment(cost: Num[Array | np.ndarray, "n n"]) -> Int[Array, " n"]:
    """The permutation that minimises sum_i cost[i, permutation[i]]; infinite costs forbid pairs.

    The sum is the least one, as SciPy's in float64, to 1e-10 of sum |cost[i, permutation[i]]|: a duality gap shows it in
    each call. Only costs of both signs that span more than ten decades can leave a larger gap. XLA takes numbers below
    1.2e-38 in size for 0 on a CPU.

    Returns: under a trace, n at every place (an index of nothing: `jnp.take` gives NaN) where there is no answer, or
        the gap is larger.
    Raises: ValueError for a matrix that is not square, and, outside of a trace, for one with NaN or with numbers beyond
        1e290 in size, that forbids every permutation, or that leaves a larger gap, which it says.

    >>> assignment(np.array([[1.0, 0.0], [5.0, 3.0]])).tolist()  # 0 + 5 costs more than 1 + 3
    [0, 1]
    """
    cost = checked_array(cost, "a cost [n, n]")
    if cost.ndim != 2 or cost.shape[0] != cost.shape[1]:
        raise ValueError(f"an assignment needs a square cost, got {cost.shape=}")
    permutation, gap = cheapest(jax.lax.stop_gradient(precise(cost)))
    if known(permutation) and (np.asarray(permutation) == len(cost)).any():
        if not np.isnan(gap):
            raise ValueError(
                f"the cheapest permutation is known only to {gap:.1e} of its cost: its signed numbers span too many "
                f"decades for float64, in {cost.shape=}"
            )
        raise ValueError(f"no permutation has a finite cost: NaN, beyond 1e290, or all forbidden, in {cost.shape=}")
    return permutation


@jax.jit
def cheapest(cost: Float[Array, "n n"]) -> tuple[Int[Array, " n"], Float[Array, ""]]:
    """`assignment` without its checks, n at every place where there is no answer; and the gap of eq. (B) in units of
    sum |C_i,pi(i)|, NaN where no permutation has a finite cost."""
    n, dtype = len(cost), cost.dtype
    if n == 0:
        return jnp.zeros(0, jnp.int32), jnp.zeros((), dtype)
    with jax.enable_x64(True):
        size = jnp.abs(cost.astype(jnp.float64))
        sound = jnp.all((size <= _LARGEST) | (cost == jnp.inf))
        best = _best(jnp.where(sound, cost, 0.0), jnp.max(size, where=sound & (size < jnp.inf), initial=0.0))
        gap = jnp.where(sound, best.gap / jnp.where(best.size == 0, 1.0, best.size), jnp.nan)
        return jnp.where(gap <= _GAP, best.column_of, n), gap.astype(dtype)


def _best(cost: Float[Array, "n n"], largest: Float[Array, ""]) -> Pass:
    """Passes until eq. (B) is shown; an infinite gap where every permutation is forbidden."""
    n, dtype = len(cost), largest.dtype
    rows = _finite(jnp.min(cost, 1).astype(dtype))
    columns = _finite(jnp.min(cost.astype(dtype) - rows[:, None], 0))

    def solve(last: Pass) -> Pass:
        most = 2 * last.rest + _rounding(rows, columns)  # of any pair in the best permutation, with room for rounding
        numbers, _ = jax.lax.optimization_barrier((cost, most))  # or XLA holds matrices of float64 through the loop

        def left(f: Array, g: Array) -> Array:
            """Eq. (A), in each use anew: faster than to read a matrix of float64."""
            return numbers.astype(dtype) - f[:, None] - g[None, :]

        allowed = (left(rows, columns) <= most) & (numbers < jnp.inf)
        f, g = _start(jnp.where(allowed, left(rows, columns), jnp.inf), most)
        beyond = 2 * n * (most + jnp.max(jnp.abs(f)) + jnp.max(jnp.abs(g))) + 1  # more than any permutation
        f, g = rows + f, columns + g
        g += _finite(jnp.min(left(f, g), 0, where=allowed, initial=jnp.inf))
        lowest = _finite(jnp.min(left(f, g), 1, where=allowed, initial=jnp.inf))
        slack = jnp.where(allowed, left(f, g) - lowest[:, None], beyond)  # 0 in each row, to the last bit
        pairs = jax.lax.while_loop(
            lambda pairs: jnp.any(pairs.column_of < 0), lambda pairs: _augmented(slack, pairs), _tight(slack)
        )
        f, g = f + lowest + pairs.f, g + pairs.g
        paid = jnp.take_along_axis(numbers, pairs.column_of[:, None], 1)[:, 0].astype(dtype)
        rests = jnp.sum(_less(paid, rows, columns, pairs))
        violated = jnp.min(left(f, g), where=allowed, initial=0.0)
        shown = jnp.sum(_less(paid, f, g, pairs)) - n * violated + _rounding(f, g)
        gap = jnp.minimum(shown, rests + _rounding(rows, columns))  # the minima keep eq. (A) too
        return Pass(pairs.column_of, gap, jnp.sum(jnp.abs(paid)), rests, last.number + 1)

    def unshown(last: Pass) -> Array:
        return (last.gap > _GAP * last.size) & (last.size < jnp.inf) & (last.number < _PASSES)

    zero = jnp.zeros((), dtype)
    nobody = jnp.full(n, -1, jnp.int32)
    return jax.lax.while_loop(unshown, solve, Pass(nobody, zero + jnp.inf, zero, 2 * largest, jnp.int32(0)))


def _finite(potential: Float[Array, " n"]) -> Float[Array, " n"]:
    """The potential, 0 where a whole row or column is forbidden."""
    return jnp.where(jnp.isfinite(potential), potential, 0.0)


def _less(paid: Float[Array, " n"], f: Float[Array, " n"], g: Float[Array, " n"], pairs: Pairs) -> Float[Array, " n"]:
    """Eq. (A) of the pairs alone, which cost `paid`."""
    return paid - f - g[pairs.column_of]


def _rounding(f: Float[Array, " n"], g: Float[Array, " n"]) -> Float[Array, ""]:
    """How far the sum of eq. (A) over any permutation is rounded, as long as it is small beside f and g."""
    return 4 * jnp.finfo(f.dtype).eps * (jnp.sum(jnp.abs(f)) + jnp.sum(jnp.abs(g)))


def _start(rest: Float[Array, "n n"], most: Float[Array, ""]) -> Potentials:
    """The potentials of the annealed plan, which may be rough: in float32, in units of `most`."""
    unit = jnp.where(most > 0, most, 1.0)
    scaled = (rest / unit).astype(jnp.float32)
    mean = jnp.mean(scaled, where=scaled < jnp.inf)
    epsilons = jnp.asarray(_EPSILONS, jnp.float32) * jnp.where(mean > 0, mean, 1.0)
    nothing = jnp.zeros(len(rest), jnp.float32)
    (f, g), _ = anneal(scaled, (nothing, nothing), epsilons, _ITERATIONS)
    sound = jnp.all(jnp.isfinite(f)) & jnp.all(jnp.isfinite(g))  # they are not where a row forbids every column
    f, g = (jnp.where(sound, potential, 0.0).astype(rest.dtype) for potential in (f, g))
    return unit * f, unit * g


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
    n, dtype = len(pairs.f), pairs.f.dtype
    columns = jnp.arange(n, dtype=jnp.int32)
    row_of, column_of, f, g = pairs
    first = jnp.min(jnp.where(column_of < 0, columns, n))
    first = jnp.where(first == n, -1, first)  # all are paired: under `vmap` the loop goes on for another example's sake

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
