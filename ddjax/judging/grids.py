"""A grid of N sampling times chosen for a trained model, by a measured error.

    grid = 1 = t_0 > t_1 > ... > t_N = 0;   one inner time after the other moves to where the error is least between its neighbours

The search begins at the best of the usual grids and keeps a move only if the error falls, so on what it is shown it is never worse
than any of them. What it gains there is partly luck: judge the grid on other noise, other data and other seeds.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from ddjax import times

USUAL = ("uniform", "quadratic", "cosine", "shifted", "karras")
SHARES = (0.6, 0.3)  # of the way to a neighbour


class Choice(NamedTuple):
    """A grid [N + 1] from 1 down to 0, its error, and how many grids were tried for it."""

    grid: np.ndarray
    error: float
    tried: int


def choose_grid(error: Callable[[Float[Array, " n_plus_1"] | np.ndarray], float], n: int, *, rounds: int = 2) -> Choice:
    """The best grid of n steps that coordinate search finds.

    Args:
        error: of samples drawn along a grid; with the same noise and data each time, or luck is what is chosen.
        rounds: of moving every inner time once, each over half the range of the one before.
    Raises: ValueError for n < 1, rounds < 0 or an error that is not a number on every usual grid.
    """
    if rounds < 0:
        raise ValueError(f"need rounds >= 0, got {rounds=}")
    starts = [np.asarray(times.grid(n, kind), float) for kind in USUAL]
    errors = [float(error(start)) for start in starts]
    if np.isnan(errors).all():
        raise ValueError(f"the error of every usual grid of {n} steps is NaN")
    best, least, tried = starts[int(np.nanargmin(errors))], float(np.nanmin(errors)), len(starts)
    for turn in range(rounds):
        for i in range(1, n):
            for time in _moves(best, i, 0.5**turn):
                moved = best.copy()
                moved[i] = time
                found, tried = float(error(moved)), tried + 1
                if found < least:
                    best, least = moved, found
    return Choice(best, least, tried)


def _moves(grid: np.ndarray, i: int, reach: float) -> list[float]:
    """Where time i may go: shares of the way to either neighbour, times `reach`."""
    here = grid[i]
    return [float(here + reach * share * (to - here)) for to in (grid[i - 1], grid[i + 1]) for share in SHARES]
