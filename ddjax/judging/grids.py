"""A grid of N sampling times chosen for a trained model, by a measured error.

    (A)  grid = 1 = t_0 > t_1 > ... > t_N = 0;   one inner time after the other moves part of the way to either neighbour
    (B)  the search takes a grid in place of another where mean(d) < -2 std(d) / sqrt(k),   d = its errors - those of the other
    (C)  what it ends with takes the place of equal steps where mean(d) < -t std(d) / sqrt(k),   t = t_{k-1}'s 95 % quantile

Errors are of blocks of samples, the same blocks for all grids. Two fifths of the blocks are searched on, by eq. (B), two fifths
decide, by eq. (C), and the rest measure what came of it. A search through dozens of grids finds the luck of its blocks; eq. (C) is
one test on blocks that the search has not seen. Where no grid is better than equal steps, these therefore stay in 95 % of searches,
however many grids are tried (exactly so for normal differences), and the error of the chosen grid has no bias.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float
from scipy import stats

from ddjax import times
from ddjax.inputs import checked_count

USUAL = ("uniform", "quadratic", "cosine", "shifted", "karras")
SHARES = (0.6, 0.3)  # of the way to a neighbour
LEAST = 5  # blocks: two to search on, two to decide, one to measure
LEVEL = 0.05  # of eq. (C): how often equal steps are left for a grid that is no better


class Choice(NamedTuple):
    """A grid [N + 1] from 1 down to 0, its mean error on blocks that chose nothing, and how many grids were tried for it."""

    grid: np.ndarray
    error: float
    tried: int


def choose_grid(
    errors: Callable[[Float[Array, " n_plus_1"] | np.ndarray], Sequence[float]], n: int, *, rounds: int = 2
) -> Choice:
    """The grid of n steps that coordinate search finds, from equal steps through the usual grids; equal steps unless it is surely
    better than they are, eq. (C).

    A grid whose error is lower by 2 standard deviations of d is found in 4 of 5 searches with 10 blocks, by 1 with 30. Fewer
    than 5 blocks cannot decide: equal steps stay, and nothing else is tried.

    Args:
        errors: of blocks of samples drawn along a grid, with the same noise and data each time.
        rounds: of moving every inner time once, each over half the range of the one before.
    Raises: ValueError for n < 1, rounds < 0, fewer than 2 blocks or an error of equal steps that is not a number.
    """
    rounds = checked_count(rounds, "rounds", least=0)
    equal, *others = (np.asarray(times.grid(n, kind), float) for kind in USUAL)
    first = np.asarray(errors(equal), float)
    if len(first) < 2 or not np.isfinite(first).all():
        raise ValueError(f"need 2 or more finite errors of equal steps, got {first}")
    if len(first) < LEAST:
        return Choice(equal, float(first.mean()), 1)
    fifth = len(first) / 5
    searched, deciding, measuring = np.split(np.arange(len(first)), [round(2 * fifth), round(4 * fifth)])
    best, least, tried = equal, first, 1

    def attempt(grid: np.ndarray) -> None:
        nonlocal best, least, tried
        values, tried = np.asarray(errors(grid), float), tried + 1
        if np.isfinite(values).all() and _lower(values[searched] - least[searched], 2.0):
            best, least = grid, values

    for grid in others:
        attempt(grid)
    for turn in range(rounds):
        for i in range(1, n):
            for time in _moves(best, i, 0.5**turn):
                attempt(np.concatenate([best[:i], [time], best[i + 1 :]]))
    if not _lower((least - first)[deciding], float(stats.t.ppf(1 - LEVEL, len(deciding) - 1))):
        best, least = equal, first
    return Choice(best, float(least[measuring].mean()), tried)


def _lower(d: np.ndarray, deviations: float) -> bool:
    """Whether the mean of d is below 0 by more than so many of its standard errors."""
    return bool(d.mean() < -deviations * d.std(ddof=1) / np.sqrt(len(d)))


def _moves(grid: np.ndarray, i: int, reach: float) -> list[float]:
    """Where time i may go: shares of the way to either neighbour, times `reach`."""
    here = grid[i]
    return [float(here + reach * share * (to - here)) for to in (grid[i - 1], grid[i + 1]) for share in SHARES]
