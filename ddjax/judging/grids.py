"""A grid of N sampling times chosen for a trained model, by a measured error.

    (1)  grid = 1 = t_0 > t_1 > ... > t_N = 0;   one inner time after the other moves part of the way to either neighbour
    (2)  a grid takes the place of another where mean(d) < -2 std(d) / sqrt(blocks),   d = its errors - those of the other

Errors are of blocks of samples, the same blocks for all grids. Without eq. (2) a search through dozens of grids finds the luck of
its blocks.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from ddjax import times

USUAL = ("uniform", "quadratic", "cosine", "shifted", "karras")
SHARES = (0.6, 0.3)  # of the way to a neighbour


class Choice(NamedTuple):
    """A grid [N + 1] from 1 down to 0, its mean error, and how many grids were tried for it."""

    grid: np.ndarray
    error: float
    tried: int


def choose_grid(
    errors: Callable[[Float[Array, " n_plus_1"] | np.ndarray], Sequence[float]], n: int, *, rounds: int = 2
) -> Choice:
    """The grid of n steps that coordinate search finds, from equal steps through the usual grids.

    Args:
        errors: of blocks of samples drawn along a grid, at least 2, with the same noise and data each time.
        rounds: of moving every inner time once, each over half the range of the one before.
    Raises: ValueError for n < 1, rounds < 0, fewer than 2 blocks or an error of equal steps that is not a number.
    """
    if rounds < 0:
        raise ValueError(f"need rounds >= 0, got {rounds=}")
    best, *others = (np.asarray(times.grid(n, kind), float) for kind in USUAL)
    least, tried = np.asarray(errors(best), float), 1
    if len(least) < 2 or not np.isfinite(least).all():
        raise ValueError(f"need 2 or more finite errors of equal steps, got {least}")
    for grid in others:
        found, tried = np.asarray(errors(grid), float), tried + 1
        if _better(found, least):
            best, least = grid, found
    for turn in range(rounds):
        for i in range(1, n):
            for time in _moves(best, i, 0.5**turn):
                moved = best.copy()
                moved[i] = time
                found, tried = np.asarray(errors(moved), float), tried + 1
                if _better(found, least):
                    best, least = moved, found
    return Choice(best, float(least.mean()), tried)


def _better(found: np.ndarray, than: np.ndarray) -> bool:
    """Eq. (2); what is not a number is not better."""
    d = found - than
    return bool(d.mean() < -2 * d.std(ddof=1) / np.sqrt(len(d)))


def _moves(grid: np.ndarray, i: int, reach: float) -> list[float]:
    """Where time i may go: shares of the way to either neighbour, times `reach`."""
    here = grid[i]
    return [float(here + reach * share * (to - here)) for to in (grid[i - 1], grid[i + 1]) for share in SHARES]
