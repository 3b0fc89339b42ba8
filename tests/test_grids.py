"""Grids chosen by a measured error: they find a known optimum, never do worse than the usual ones, and stay grids."""

import numpy as np
import pytest

from ddjax import times
from ddjax.judging import USUAL, choose_grid


def usual(n):
    return [np.asarray(times.grid(n, kind), float) for kind in USUAL]


@pytest.mark.parametrize("n", [2, 4, 8])
def test_a_known_optimum_is_found(n):
    """Of a bowl around a cubic grid: every time within .03 after 6 rounds, and every try was a grid from 1 down to 0.

    Mutations: moves that leave the neighbours; a round that forgets the best; reach that grows.
    """
    optimum, seen = np.linspace(1, 0, n + 1) ** 3, []

    def error(grid):
        seen.append(np.asarray(grid))
        return float(((grid - optimum) ** 2).sum())

    found = choose_grid(error, n, rounds=6)
    np.testing.assert_allclose(found.grid, optimum, atol=0.03)
    assert found.tried == len(seen) == len(USUAL) + 6 * 4 * (n - 1)
    assert found.error == error(found.grid) == min(map(error, seen.copy()))
    for grid in seen:
        assert grid[0] == 1 and grid[-1] == 0 and (np.diff(grid) < 0).all()


def test_a_chosen_grid_is_never_worse_than_the_usual_ones():
    """On errors without any shape; and without rounds it is the best usual one itself. Mutation: the first usual one."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=7)

    def error(grid):
        return float(np.sin(37 * np.asarray(grid)[1:-1]) @ weights[: len(grid) - 2])

    for n in (3, 5, 8):
        least = min(map(error, usual(n)))
        assert choose_grid(error, n).error <= least
        plain = choose_grid(error, n, rounds=0)
        assert plain.error == least and any((plain.grid == grid).all() for grid in usual(n))


def test_one_step_has_one_grid_and_a_broken_error_is_passed_over():
    """No inner time, no move; where one usual grid is NaN another is taken; where all are, one sentence."""
    assert list(choose_grid(lambda grid: 1.0, 1).grid) == [1.0, 0.0]
    cosine = np.asarray(times.grid(4, "cosine"), float)
    assert np.isfinite(choose_grid(lambda grid: np.nan if (grid == cosine).all() else float(grid[1]), 4).error)
    with pytest.raises(ValueError, match="every usual grid of 4 steps is NaN"):
        choose_grid(lambda grid: np.nan, 4)
    with pytest.raises(ValueError, match="rounds"):
        choose_grid(lambda grid: 1.0, 4, rounds=-1)
