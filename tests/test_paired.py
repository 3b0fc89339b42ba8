"""Paired differences against their closed forms, and sweeps whose noise and data all models share."""

import jax
import numpy as np
import pytest
from scipy import stats

from ddjax import judging
from ddjax.judging import paired, rises
from ddjax.types import Batch


def number(nfe, by_seed):
    """A number at so many steps."""
    return judging.measured("ddm", "w1", nfe, np.reshape(by_seed, (-1, 1)), (0.1, 0.01))


def test_what_two_models_share_is_not_in_their_difference():
    """A shift of 2 under a luck of 100: the difference is 2 to rounding, and the interval is a point."""
    luck = 100 * np.random.default_rng(0).normal(size=5)
    found = paired([*(luck + 2)], [*luck])
    np.testing.assert_allclose(found, (2, 2, 2), atol=1e-12)


def test_the_interval_is_that_of_the_t_test():
    """SciPy's, of 5 pairs. Mutations: ddof 0; the quantile of a normal law; one side; a and b exchanged."""
    a, b = np.random.default_rng(1).normal(size=(2, 5))
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    value, low, high = paired([*a], [*b])
    assert value == pytest.approx(np.mean(a) - np.mean(b)) and (low, high) == pytest.approx(
        (expected.low, expected.high)
    )


@pytest.mark.parametrize("together", [1, 4])
def test_all_intervals_that_are_read_together_hold_in_95_of_100(together):
    """Of 3 and of 5 pairs, within 3 standard errors of 400; independent ones hold in (1 - .05 / k)^k of all, just above .95.

    Mutations: the percentile bootstrap (83 in 100 of 5 pairs, 45 of four at once); the correction forgotten.
    """
    rng = np.random.default_rng(2)
    expected = (1 - 0.05 / together) ** together
    for pairs in (3, 5):
        found = [
            [paired([*rng.normal(size=pairs)], [0.0] * pairs, comparisons=together) for _ in range(together)]
            for _ in range(400)
        ]
        inside = np.mean([all(one.low <= 0 <= one.high for one in row) for row in found])
        assert abs(inside - expected) < 3 * np.sqrt(expected * (1 - expected) / 400)


def test_one_pair_has_no_interval_and_no_pairs_are_refused():
    """The whole line; and one sentence."""
    assert paired([2.0], [1.5]) == (0.5, -np.inf, np.inf)
    for a, b in (([1.0, 2.0], [1.0]), ([], [])):
        with pytest.raises(ValueError, match="need pairs"):
            paired(a, b)
    with pytest.raises(ValueError, match="at least 1, got comparisons="):
        paired([1.0, 2.0], [1.0, 2.0], comparisons=0)


def test_only_what_rises_beyond_its_interval_is_told():
    """8 steps are worse than 4 for every seed; 16 are worse in the mean alone; 2 are better than 1."""
    seeds = np.arange(5.0)
    luck = {16: [2.6, -0.4, 0.6, 0.6, 0.6], 1: [2.0] * 5, 4: [0.5] * 5, 2: [1.0] * 5, 8: [0.7] * 5}
    found = rises([number(nfe, seeds + np.array(by_seed)) for nfe, by_seed in luck.items()])
    assert [(few, more) for few, more, _ in found] == [(4, 8)]
    assert found[0][2].value == pytest.approx(0.2)


def test_models_with_one_key_meet_the_same_noise_and_data_whatever_the_churn():
    """Seed by seed and step by step, with a churn or without: the same sampler has the same numbers, another seed has others.

    Mutations: a key for each cell; a key for each model.
    """

    def draw(params, key, steps, churn):
        return Batch(params + jax.random.normal(key, (50, 1)))

    def judge(fake, key, steps):
        return {"w1": float((fake.x_0 - jax.random.normal(key, (50, 1))).mean())}

    key = jax.random.key(3)
    told = {"floors": {"w1": (0.0, 0.1)}, "nfe": (1, 4), "repeats": 2, "label": None}
    flow = judging.sweep("flow", draw, [0.0, 0.0, 1.0], judge, key=jax.random.clone(key), **told)
    bridge = judging.sweep("ddm", draw, [0.0, 0.0, 1.0], judge, key=key, churn=(0.0, 1.0), **told)
    assert [n.by_seed for n in flow] == [bridge[0].by_seed, bridge[1].by_seed] == [bridge[0].by_seed, bridge[2].by_seed]
    first, second, _ = flow[0].by_seed
    assert first != second and flow[1].by_seed[0] != first
    assert flow[0].value == np.median(flow[0].by_seed)
