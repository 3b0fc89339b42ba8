"""Laws of t by Kolmogorov-Smirnov against their distribution functions; grids by what they are uniform in."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose as close
from numpy.testing import assert_array_equal as same
from scipy import special, stats

from ddjax import times

LAWS = {
    "uniform": (times.uniform, lambda t: t),
    "stratified": (times.stratified, lambda t: t),
    "power below 1": (times.power(0.5), lambda t: t**2),
    "power above 1": (times.power(3.0), lambda t: np.cbrt(t)),
    "stratified power": (times.power(0.5, base=times.stratified), lambda t: t**2),
    "logit-normal": (times.logit_normal(), lambda t: stats.norm.cdf(special.logit(t))),
    "skewed logit-normal": (
        times.logit_normal(0.7, 0.5),
        lambda t: stats.norm.cdf((special.logit(t) - 0.7) / 0.5),
    ),
}


@pytest.mark.parametrize("name", LAWS)
def test_law(name):
    """Fails for an inverted exponent, a lost mean, a variance in place of a std."""
    law, cdf = LAWS[name]
    assert stats.kstest(np.asarray(law(jax.random.key(0), 4000)), cdf).pvalue > 1e-3


def test_steps_of_a_chain_are_equally_likely():
    """1/n to 1, each within 4 standard errors of its share. Fails for steps from 0 to n - 1, or a last one left out."""
    t = np.asarray(times.steps_of(5)(jax.random.key(2), 5000), np.float64)
    steps, counts = np.unique(np.round(5 * t), return_counts=True)
    same(steps, [1, 2, 3, 4, 5])
    close(5 * t, np.round(5 * t), atol=1e-5)
    assert t.max() < 1 and (np.abs(counts - 1000) < 4 * np.sqrt(800)).all()


@pytest.mark.parametrize("n", [1, 7, 256])
def test_stratified_has_one_time_in_each_cell(n):
    """Fails for independent times, or cells that do not cover [0, 1)."""
    t = np.asarray(times.stratified(jax.random.key(1), n), np.float64)
    same(np.floor(t * n), np.arange(n))
    within = t * n - np.arange(n)
    assert n == 1 or stats.kstest(within, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("n", [1, 2, 8, 101])
@pytest.mark.parametrize(
    ("kind", "unwarp"),
    [
        ("uniform", lambda t: t),
        ("quadratic", np.sqrt),
        ("cosine", lambda t: np.arcsin(np.sqrt(t)) / (np.pi / 2)),
    ],
)
def test_grid_is_uniform_once_unwarped_and_exact_at_the_ends(x64, n, kind, unwarp):
    """Fails for an ascending grid, n times instead of n + 1, or a warp in the wrong direction."""
    grid = np.asarray(times.grid(n, kind))
    assert (grid[0], grid[-1]) == (1.0, 0.0)
    close(unwarp(grid), 1 - np.arange(n + 1) / n, atol=1e-12)


def test_grid_is_strictly_decreasing_in_float32():
    for kind in ("uniform", "quadratic", "cosine"):
        grid = times.grid(1000, kind)
        assert (np.diff(grid) < 0).all()
        assert (grid[0], grid[-1]) == (1.0, 0.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: times.power(0.0),
        lambda: times.power(float("nan")),
        lambda: times.logit_normal(0.0, 0.0),
        lambda: times.grid(0),
        lambda: times.grid(4, "quartic"),
    ],
)
def test_impossible_parameters_are_refused(unchecked, make):
    with pytest.raises(ValueError, match="got "):
        make()
