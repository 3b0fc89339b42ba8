"""Intervals of differences of Fréchet distances: they hold what two samples of one law are apart, and tell two laws apart."""

import numpy as np

from experiments.common.images import evaluate as judging
from experiments.compare import intervals

RNG = np.random.default_rng(11)


def space(test):
    return judging.Space("pixels", judging.pixels, test, test, np.ones(len(test)))


def test_intervals_of_equal_laws_hold_0_and_are_not_much_wider_than_they_must():
    """95 of 100 at the least, and 1 to 1.6 times the width of the true spread; skewed law, few points.

    Mutation: a standard deviation in the place of two of them (.72 times).
    """
    held, widths = 0, []
    for _ in range(100):
        a, b, test = (RNG.gamma(1.0, size=(n, 3)) for n in (150, 150, 60))
        found = intervals.difference(space(test), a, b, resamples=40, seed=int(RNG.integers(1e6)))
        held += found.low <= 0 <= found.high
        widths.append(found.high - found.low)
    assert held >= 95
    truth = np.std([_apart() for _ in range(300)])
    assert 1 < np.mean(widths) / (2 * 1.96 * truth) < 1.6


def _apart():
    a, b, test = (RNG.gamma(1.0, size=(n, 3)) for n in (150, 150, 60))
    return intervals.difference(space(test), a, b, resamples=2).value


def test_held_out_images_are_shared_by_what_is_compared():
    """Two samples far from few held-out images, s = |(5, 5)|: std 2 s (2 / 400)^(1/2) = 1, to which those add nothing.

    Mutation: held-out images of its own for each distance, which add 2 s (2 / 60)^(1/2) = 2.6.
    """
    a, b, test = (RNG.normal(shift, 1, size=(n, 2)) for shift, n in ((5.0, 400), (5.0, 400), (0.0, 60)))
    found = intervals.difference(space(test), a, b, resamples=200)
    assert 0.7 < (found.high - found.low) / (2 * 1.96) < 1.5


def test_a_closer_sample_is_told():
    """By its sign, its value and an interval without 0. Mutation: a and b exchanged."""
    near, far, test = (RNG.normal(shift, 1, size=(400, 2)) for shift in (0.0, 1.0, 0.0))
    found = intervals.difference(space(test), near, far, resamples=50)
    assert -2.6 < found.value < -1.4 and found.high < -0.5  # |shift|^2 = 2
    line = intervals.told([intervals.Comparison("pixels", "DDM", 4, "regression", 8, found)])[0]
    assert line[:3] == ["pixels", "DDM, 4", "regression, 8"] and line[3].startswith(f"{found.value:.3g} [")
