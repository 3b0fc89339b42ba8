"""Grids chosen by a measured error: they find a known optimum, are not fooled by luck, and stay grids."""

import numpy as np
import pytest

from ddjax import times
from ddjax.judging import USUAL, choose_grid


def usual(n):
    return [np.asarray(times.grid(n, kind), float) for kind in USUAL]


@pytest.mark.parametrize("n", [2, 4, 8])
def test_a_known_optimum_is_found(n):
    """Of a bowl around a cubic grid, under blocks that share their luck: every time within .03 after 6 rounds, and every try was
    a grid from 1 down to 0.

    Mutations: moves that leave the neighbours; a round that forgets the best; reach that grows; differences that are not paired.
    """
    optimum, luck, seen = np.linspace(1, 0, n + 1) ** 3, np.random.default_rng(0).normal(size=6), []

    def errors(grid):
        seen.append(np.asarray(grid))
        return ((grid - optimum) ** 2).sum() + luck

    found = choose_grid(errors, n, rounds=6)
    np.testing.assert_allclose(found.grid, optimum, atol=0.03)
    assert found.tried == len(seen) == len(USUAL) + 6 * 4 * (n - 1)
    assert found.error == pytest.approx(errors(found.grid).mean())
    for grid in seen:
        assert grid[0] == 1 and grid[-1] == 0 and (np.diff(grid) < 0).all()


def test_luck_moves_no_time():
    """Errors that know nothing of the grid: of 20 others each is taken with probability .04 (t_9 below -2), so equal steps stay in
    .96^20 = .45 of all searches, which 40 of them tell within 3 standard errors.

    Mutation: any fall of the mean is taken (none stays).
    """
    stayed = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        stayed.append((choose_grid(lambda grid, rng=rng: rng.normal(size=10), 3).grid == usual(3)[0]).all())
    assert 0.2 < np.mean(stayed) < 0.7


def test_without_rounds_it_is_a_usual_grid():
    """The one whose errors are surely lowest, here the quadratic; equal steps where none is. Mutation: the first usual one."""
    quadratic = usual(4)[1]
    found = choose_grid(lambda grid: np.abs(grid - quadratic).sum() + np.arange(3.0), 4, rounds=0)
    np.testing.assert_array_equal(found.grid, quadratic)
    np.testing.assert_array_equal(choose_grid(lambda grid: [1.0, 2.0], 4).grid, usual(4)[0])


def test_one_step_has_one_grid_and_a_broken_error_is_passed_over():
    """No inner time, no move; a grid whose error is NaN is not taken; equal steps must have one, and luck needs 2 blocks."""
    assert list(choose_grid(lambda grid: [1.0, 1.0], 1).grid) == [1.0, 0.0]
    cosine = np.asarray(times.grid(4, "cosine"), float)
    found = choose_grid(lambda grid: [np.nan] * 2 if (grid == cosine).all() else [float(grid[1])] * 2, 4)
    assert np.isfinite(found.error) and found.error < 0.75
    for errors in ([np.nan, 1.0], [1.0]):
        with pytest.raises(ValueError, match="2 or more finite errors"):
            choose_grid(lambda grid, errors=errors: errors, 4)
    with pytest.raises(ValueError, match="rounds"):
        choose_grid(lambda grid: [1.0, 1.0], 4, rounds=-1)
