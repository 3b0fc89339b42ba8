"""Grids chosen by a measured error: they find a known optimum and what is really better, and stay grids.

That luck moves no grid is in `test_looks`.
"""

from functools import cache

import numpy as np
import pytest

from ddjax import times
from ddjax.judging import USUAL, choose_grid, grids


def usual(n):
    return [np.asarray(times.grid(n, kind), float) for kind in USUAL]


@pytest.mark.parametrize("n", [2, 4, 8])
def test_a_known_optimum_is_found(n):
    """Of a bowl around a cubic grid, under blocks that share their luck: every time within .03 after 6 rounds, and every try was
    a grid from 1 down to 0.

    Mutations: moves that leave the neighbours; a round that forgets the best; reach that grows; differences that are not paired.
    """
    optimum, luck, seen = np.linspace(1, 0, n + 1) ** 3, np.random.default_rng(0).normal(size=10), []

    def errors(grid):
        seen.append(np.asarray(grid))
        return ((grid - optimum) ** 2).sum() + luck

    found = choose_grid(errors, n, rounds=6)
    np.testing.assert_allclose(found.grid, optimum, atol=0.03)
    assert found.tried == len(seen) == len(USUAL) + 6 * 4 * (n - 1)
    assert found.error == pytest.approx(errors(found.grid)[8:].mean())  # the blocks that chose nothing
    for grid in seen:
        assert grid[0] == 1 and grid[-1] == 0 and (np.diff(grid) < 0).all()


def bowl(rng, blocks, gain):
    """Errors of blocks along grids of 4: lower by `gain` at the quadratic grid, differences between grids of deviation 1."""
    equal, quadratic, *_ = usual(4)
    away = np.abs(equal - quadratic).sum()
    luck = rng.normal(size=blocks) / 2

    def truth(grid):
        return gain * min(1, np.abs(grid - quadratic).sum() / away)

    return truth, lambda grid: truth(grid) + luck + rng.normal(size=blocks) / np.sqrt(2)


@pytest.mark.parametrize(("blocks", "gain"), [(10, 2.0), (30, 1.0)])
def test_a_grid_that_is_better_is_found(blocks, gain):
    """In 4 of 5 searches at least, within 3 standard errors of 100.

    Mutation: decided by Bonferroni over all that was tried (a third of the searches).
    """
    moved = []
    for seed in range(100):
        _, errors = bowl(np.random.default_rng(seed), blocks, gain)
        moved.append((choose_grid(errors, 4).grid != usual(4)[0]).any())
    assert np.mean(moved) > 0.8 - 3 * np.sqrt(0.8 * 0.2 / 100)


def test_the_error_of_the_chosen_grid_has_no_bias(monkeypatch):
    """On average it is that of the grid that is chosen, within 3 standard errors of 300, where a third of the searches moves.

    Mutation: the error of the blocks that decide, or of those that were searched on (lower by .11, five standard errors).
    """
    monkeypatch.setattr(grids.times, "grid", cache(times.grid))
    off = []
    for seed in range(300):
        truth, errors = bowl(np.random.default_rng(seed), 10, 1.0)
        found = choose_grid(errors, 4)
        off.append(found.error - truth(found.grid))
    assert abs(np.mean(off)) < 3 * np.std(off) / np.sqrt(300)


def test_without_rounds_it_is_a_usual_grid():
    """The one whose errors are surely lowest, here the quadratic; equal steps where none is. Mutation: the first usual one."""
    quadratic = usual(4)[1]
    found = choose_grid(lambda grid: np.abs(grid - quadratic).sum() + np.arange(5.0), 4, rounds=0)
    np.testing.assert_array_equal(found.grid, quadratic)
    np.testing.assert_array_equal(choose_grid(lambda grid: np.arange(5.0), 4).grid, usual(4)[0])


def test_fewer_than_5_blocks_cannot_decide():
    """Equal steps, their error, and no other grid tried, however much better one is. Mutation: two blocks that decide alone."""
    found = choose_grid(lambda grid: np.arange(4.0) + 100 * grid[1], 2)
    np.testing.assert_array_equal(found.grid, usual(2)[0])
    assert (found.error, found.tried) == (51.5, 1)


def test_one_step_has_one_grid_and_a_broken_error_is_passed_over():
    """No inner time, no move; a grid whose error is NaN is not taken; equal steps must have one, and luck needs 2 blocks."""
    assert list(choose_grid(lambda grid: [1.0, 1.0], 1).grid) == [1.0, 0.0]
    cosine = np.asarray(times.grid(4, "cosine"), float)
    found = choose_grid(lambda grid: [np.nan] * 5 if (grid == cosine).all() else [float(grid[1])] * 5, 4)
    assert np.isfinite(found.error) and found.error < 0.75
    for errors in ([np.nan, 1.0], [1.0]):
        with pytest.raises(ValueError, match="2 or more finite errors"):
            choose_grid(lambda grid, errors=errors: errors, 4)
    with pytest.raises(ValueError, match="rounds"):
        choose_grid(lambda grid: [1.0, 1.0], 4, rounds=-1)
