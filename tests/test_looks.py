"""Where nothing is different, whatever says that something is says so at most 5 times in 100: one table of all such verdicts.

Each row simulates the null in NumPy: equal grids, models whose seeds differ by luck alone, samplers that are the truth.
"""

from functools import cache
from typing import get_type_hints

import numpy as np
import pytest

from ddjax import judging, times
from ddjax.judging import grids
from experiments.common import readings
from experiments.common.images import evaluate as images
from experiments.compare import intervals
from experiments.family import claims
from experiments.family import grid_report as grid_pages
from experiments.family.grids import CHOSEN, Judged
from experiments.limits import experiment as limits
from experiments.three_views import experiment as three_views
from experiments.two_gaussians import experiment as two_gaussians

LEVEL, RUNS = 0.05, 250
SEEDS, STEPS = 5, (1, 2, 4, 8, 16, 50)


def a_number(nfe, by_seed, *, model="a", metric="w1", floor=(0.0, 1.0)):
    return judging.measured(model, metric, nfe, np.reshape(by_seed, (-1, 1)), floor)


def a_grid_moves(blocks):
    def says(rng):
        luck = rng.normal(size=blocks)
        found = judging.choose_grid(lambda grid: luck + 0.2 * rng.normal(size=blocks), 4)
        return (found.grid != times.grid(4)).any()

    return says


def more_steps_are_worse(seeds):
    def says(rng):
        luck = rng.normal(size=seeds)
        return judging.rises([a_number(n, luck + rng.normal(size=seeds)) for n in STEPS])

    return says


def a_claim_is_decided(rng):
    luck = rng.normal(size=SEEDS)
    numbers = [a_number(n, luck + rng.normal(size=SEEDS), model=model) for model in "ab" for n in STEPS[:4]]
    return claim_of(numbers) != "not shown"


def a_model_as_bad_as_may_be_is_as_good(rng):
    """It is worse by just the deviation of the floor, 1, at one number of steps, and as good at the others."""
    worse = {STEPS[0]: 1.0}
    numbers = [a_number(n, rng.normal(size=SEEDS) + worse.get(n, -9.0), model="a") for n in STEPS[:4]]
    numbers += [a_number(n, np.zeros(SEEDS), model="b") for n in STEPS[:4]]
    return claim_of(numbers, as_good=True) == "reproduced"


def claim_of(numbers, *, as_good=False):
    claim = claims.Claim("paper", "a before b", "run", "a", "b", STEPS[:4], as_good)
    found, std = claims.differences(claim, numbers)
    return claims.verdict(claim, found.values(), std)


def a_chosen_grid_is_worse(rng):
    kinds = (CHOSEN, *judging.USUAL)
    found = {n: Judged([1.0, 0.0], 1, {kind: [*rng.normal(size=3)] for kind in kinds}) for n in range(2, 9)}
    return "by " in grid_pages.sentence("ddm", found).removesuffix("by 3 seeds")


def an_image_model_is_closer(rng):
    """Two numbers of steps each of two models that are one law, by a distance that is quick (see the test)."""
    test, *samples = (rng.normal(size=(60, 1)) for _ in range(5))
    where = images.Space("pixels", images.pixels, test, test, np.ones(len(test)))
    how = {"resamples": 20, "comparisons": 4}
    apart = [intervals.difference(where, a, b, **how) for a in samples[:2] for b in samples[2:]]
    return any(one.low > 0 or one.high < 0 for one in apart)


def the_truth_is_off_the_floor(rng):
    """By a single draw of a distance like MMD^2, and the floor's deviation from as many pairs as the demo takes."""
    pairs = null(rng, two_gaussians.PAIRS)
    value = a_number(4, null(rng, 1), metric="mmd2", floor=(pairs.mean(), pairs.std(ddof=1)))
    return not readings.at_floor(value)


GAUSSIANS = (0.5, 0.1, 0.09, 0.09, 0.08, 0.03)  # spectrum of the kernel on the two Gaussians, its first shares
LINE = (0.56, 0.3, 0.08, 0.04, 0.01)  # and on the humps of three_views in 1-D


def null(rng, *shape, spectrum=GAUSSIANS):
    """MMD^2 of two samples of one law, up to scale: chi-squares less 1, weighted by the spectrum of the kernel."""
    return (rng.normal(size=(*shape, len(spectrum))) ** 2 - 1) @ np.array(spectrum)


def least(config, name):
    """The smallest value that a command line takes."""
    [among] = get_type_hints(config, include_extras=True)[name].__metadata__
    return among.low


def the_limits_gate_fires(rng):
    """19 cells of two laws, means of 4 draws, each law with one floor."""
    floors = null(rng, 2, 1, least(limits.Config, "repeats"))
    values = null(rng, 2, 19, 4).mean(-1) - floors.mean(-1)
    return (np.abs(values) / floors.std(-1, ddof=1)).max() > 4


def the_gate_of_three_views_fires(rng):
    """Three views at 9 times of two laws."""
    stds = null(rng, 18, 1, least(three_views.Config, "repeats"), spectrum=LINE).std(-1, ddof=1)
    values = null(rng, 18, 3, least(three_views.Config, "draws"), spectrum=LINE).mean(-1)
    return (np.abs(values) / stds).max() > three_views.WORST


TABLE = {
    "choose_grid, 2 blocks": a_grid_moves(2),
    "choose_grid, 3 blocks": a_grid_moves(3),
    "choose_grid, 5 blocks": a_grid_moves(5),
    "choose_grid, 10 blocks": a_grid_moves(10),
    "rises, 5 seeds": more_steps_are_worse(5),
    "rises, 3 seeds": more_steps_are_worse(3),
    "claim": a_claim_is_decided,
    "claim of as good": a_model_as_bad_as_may_be_is_as_good,
    "chosen grid worse than usual ones": a_chosen_grid_is_worse,
    "compare": an_image_model_is_closer,
    "at the floor": the_truth_is_off_the_floor,
    "limits": the_limits_gate_fires,
    "three_views": the_gate_of_three_views_fires,
}


@pytest.mark.parametrize("verdict", TABLE)
def test_luck_alone_says_nothing(verdict, monkeypatch):
    """Within 3 standard errors of 5 in 100.

    Mutations: eq. (B) of `grids` decides; intervals of each comparison alone; 1.96 in the place of t; the point estimate in the
    place of the interval; one deviation of the floor in the place of two; gates that take 8 repeats, or 1 draw.
    """
    monkeypatch.setattr(grids.times, "grid", cache(times.grid))
    monkeypatch.setattr(intervals.metrics, "frechet_distance", lambda real, fake: fake.mean() - real.mean())
    said = [bool(TABLE[verdict](np.random.default_rng([7, i]))) for i in range(RUNS)]
    assert np.mean(said) <= LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / RUNS)
