"""Calibration of draws: double loops, SciPy's tests, laws whose ranks are known, and what each number is blind to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close
from numpy.testing import assert_array_equal as same
from scipy import stats

from ddjax import metrics

N, M = 60, 7
GENERATOR = np.random.default_rng(0)
SAMPLES, OBSERVATIONS = (jnp.asarray(GENERATOR.gamma(1.5, size=(N, *m, 2, 3)), jnp.float32) for m in ((M,), ()))


def key(seed=0):
    return jax.random.key(seed)


def foretold(seed, n, m, d=2, *, spread=1.0, bias=0.0, correlation=0.6, of_draws=None):
    """Truths and draws of one law for each of n examples: correlated, skewed, about a centre that changes; or what is off."""
    generator = np.random.default_rng(seed)
    centre = generator.normal(size=(n, 1, d))

    def law(count, correlation):
        common, own = generator.gamma(2.0, size=(n, count, 1)), generator.gamma(2.0, size=(n, count, d))
        return np.sqrt(correlation) * (common - 2) + np.sqrt(1 - correlation) * (own - 2)

    truth = centre + law(1, correlation)
    draws = centre + bias + spread * law(m, correlation if of_draws is None else of_draws)
    return jnp.asarray(draws, jnp.float32), jnp.asarray(truth[:, 0], jnp.float32)


def test_ranks_and_transforms_are_their_double_loop():
    """Events [2, 3], an element at a time. Mutations: draws above counted; a transform over m."""
    counts, _, _ = metrics.rank_histogram(SAMPLES, OBSERVATIONS, key())
    pit = metrics.pit(SAMPLES, OBSERVATIONS, key())
    assert counts.shape == (2, 3, M + 1) and pit.shape == (N, 2, 3)
    for i, j in np.ndindex(2, 3):
        ranks = [
            sum(float(x) < float(y) for x in of_one)
            for of_one, y in zip(np.asarray(SAMPLES)[:, :, i, j], np.asarray(OBSERVATIONS)[:, i, j], strict=True)
        ]
        same(counts[i, j], np.bincount(ranks, minlength=M + 1))
        inside = np.asarray(pit[:, i, j]) * (M + 1) - np.array(ranks)
        assert (inside >= 0).all() and (inside <= 1).all() and inside.std() > 0.2


def test_a_prerank_sees_all_points_and_ranks_the_observation():
    """The averages and mean distances of the m + 1 points, by hand. Mutations: distances to the draws alone; a sum."""
    for prerank in (metrics.average_prerank, metrics.energy_prerank):
        ranks = []
        for draws, truth in zip(np.asarray(SAMPLES, np.float64), np.asarray(OBSERVATIONS, np.float64), strict=True):
            points = [truth.ravel(), *draws.reshape(M, -1)]
            if prerank is metrics.average_prerank:
                numbers = [point.mean() for point in points]
            else:
                numbers = [np.mean([np.linalg.norm(a - b) for b in points]) for a in points]
            close(prerank(jnp.asarray(points, jnp.float32).reshape(-1, 2, 3)), numbers, rtol=1e-5)
            ranks.append(sum(number < numbers[0] for number in numbers[1:]))
        found = metrics.rank_histogram(SAMPLES, OBSERVATIONS, key(), prerank=prerank)
        same(found.counts, np.bincount(ranks, minlength=M + 1))
        same(np.floor(np.asarray(metrics.pit(SAMPLES, OBSERVATIONS, key(), prerank=prerank)) * (M + 1)), ranks)


def test_ties_are_broken_at_random():
    """Counts of a Poisson law of mean 1, and draws that all are the truth: uniform transforms and ranks.

    Mutations: ties counted as below; one V for all examples; V below the ties alone.
    """
    n, generator = 4000, np.random.default_rng(1)
    draws, truth = (jnp.asarray(generator.poisson(1.0, size), jnp.float32) for size in ((n, 9), (n,)))
    for samples in (draws, jnp.repeat(truth[:, None], 9, 1)):
        pit = np.asarray(metrics.pit(samples, truth, key(2)))
        assert stats.kstest(pit, "uniform").pvalue > 0.01
        assert metrics.rank_histogram(samples, truth, key(3)).pvalue > 0.01


@pytest.mark.parametrize("bins", [None, 4, 2])
def test_the_test_is_scipys(bins):
    """Statistic and p-value of the counts, merged. Mutations: bins degrees of freedom; ranks strided over bins."""
    samples, observations = foretold(4, 500, M, spread=0.9)
    found = metrics.rank_histogram(samples, observations, key(), bins=bins)
    for counts, statistic, pvalue in zip(*found, strict=True):
        merged = np.asarray(counts).reshape(M + 1 if bins is None else bins, -1).sum(1)
        close((statistic, pvalue), stats.chisquare(merged), rtol=1e-4)
    assert found.pvalue.shape == (2,)


def test_p_values_of_calibrated_draws_are_uniform():
    """Over 300 data sets, of elements, pre-ranks, another example's order and tarp: Kolmogorov-Smirnov p > .01.

    Mutations: one more degree of freedom; distances of `energy_prerank` to all but the truth.
    """
    sets = [foretold(100 + seed, 400, 9) for seed in range(300)]
    samples, observations = (jnp.stack(arrays) for arrays in zip(*sets, strict=True))
    keys = jax.random.split(key(5), 300)

    def of_one(samples, observations, key):
        keys = jax.random.split(key, 3)
        elements = metrics.rank_histogram(samples, observations, keys[0]).pvalue[0]
        preranks = [
            metrics.rank_histogram(samples, observations, k, prerank=prerank).pvalue
            for k, prerank in zip(keys[1:], (metrics.average_prerank, metrics.energy_prerank), strict=True)
        ]
        return elements, *preranks, metrics.tarp(samples, observations, samples[:, 0] * 0 + 1).pvalue

    for pvalues in jax.jit(lambda *sets: jax.lax.map(lambda one: of_one(*one), sets))(samples, observations, keys):
        assert stats.kstest(np.asarray(pvalues), "uniform").pvalue > 0.01


def shares(samples, observations, **how):
    found = metrics.rank_histogram(samples, observations, key(6), **how)
    assert float(jnp.max(found.pvalue)) < 1e-6
    return np.asarray(found.counts, np.float64).reshape(-1, samples.shape[1] + 1) / len(samples)


def test_the_shape_of_a_histogram_tells_what_is_wrong():
    """Narrow: high ends; wide: a hill; biased high: low ranks. Far out: narrow draws crowd the last ranks, wide ones the first.

    Mutation: ranks counted from above.
    """
    n, m = 2000, 9
    for counts in shares(*foretold(7, n, m, spread=0.5)):
        assert min(counts[0], counts[-1]) > 1.5 / 10 > counts[3:7].max() * 1.2
    for counts in shares(*foretold(8, n, m, spread=2.0)):
        assert max(counts[0], counts[-1]) < 0.5 / 10 < counts[4] / 1.2
    for counts in shares(*foretold(9, n, m, bias=1.0)):
        assert counts[0] > 2 * counts[1] and counts[1] > 1.5 * counts[5] > 1.5 * counts[-1]
    (narrow,) = shares(*foretold(10, n, m, spread=0.5), prerank=metrics.energy_prerank)
    (wide,) = shares(*foretold(11, n, m, spread=2.0), prerank=metrics.energy_prerank)
    assert narrow[-1] > 3 / 10 and wide[0] > 2 / 10


def test_elements_are_blind_to_what_binds_them_and_preranks_are_not():
    """Draws of the right elements, independent where the truth's go together: each histogram is flat, the average's is not."""
    samples, observations = foretold(12, 4000, 9, correlation=0.8, of_draws=0.8)
    shuffled = jnp.stack([samples[..., 0], jnp.roll(samples[..., 1], 1, 1)], -1)  # another draw's second element
    elements = metrics.rank_histogram(shuffled, observations, key(13))
    assert (elements.pvalue > 0.01).all()
    assert metrics.rank_histogram(shuffled, observations, key(14), prerank=metrics.average_prerank).pvalue < 1e-6
    assert metrics.rank_histogram(samples, observations, key(15), prerank=metrics.average_prerank).pvalue > 0.01


def test_coverage_is_its_double_loop():
    """Levels k / (m + 1) from 0 to 1. Mutations: <= k for < k; distances of one element; levels k / m; references at 0."""
    references = jnp.asarray(GENERATOR.normal(size=(N, 2, 3)), jnp.float32)
    nearer = [
        sum(np.linalg.norm(x - r) < np.linalg.norm(y - r) for x in draws)
        for draws, y, r in zip(*(np.asarray(a, np.float64) for a in (SAMPLES, OBSERVATIONS, references)), strict=True)
    ]
    found = metrics.tarp(SAMPLES, OBSERVATIONS, references)
    close(found.levels, np.arange(M + 2) / (M + 1), rtol=1e-6)
    coverage = [np.mean([rank < k for rank in nearer]) for k in range(M + 2)]
    close(found.coverage, coverage, rtol=1e-6)
    close(found.deviation, np.abs(coverage - np.arange(M + 2) / (M + 1)).max(), rtol=1e-5)
    close(found.pvalue, stats.chisquare(np.bincount(nearer, minlength=M + 1)).pvalue, rtol=1e-4)


@pytest.mark.parametrize("m", [1, 3, 12])
def test_coverage_of_calibrated_draws_is_the_level_for_every_number_of_draws(m):
    """At 4 sigma of a share of n, at each level, about references near and far. Mutation: levels k / m, or coverage of <= k."""
    n = 20_000
    samples, observations = foretold(16, n, m, 3)
    for references in (jnp.zeros((n, 3)), observations * 0 + jnp.asarray([5.0, 0.0, -2.0])[None]):
        found = metrics.tarp(samples, observations, references)
        levels = np.asarray(found.levels, np.float64)
        assert (abs(np.asarray(found.coverage) - levels) <= 4 * np.sqrt(levels * (1 - levels) / n) + 1e-6).all()
        assert found.pvalue > 0.01


def test_references_must_know_what_the_draws_are_conditioned_on():
    """Draws of the marginal law: good coverage about a fixed point, bad about one near the centre of each example."""
    n, generator = 4000, np.random.default_rng(17)
    centre = generator.normal(size=(n, 2))
    truth = jnp.asarray(centre + 0.3 * generator.normal(size=(n, 2)), jnp.float32)
    marginal = jnp.asarray(generator.normal(size=(n, 9, 2)) * np.sqrt(1.09), jnp.float32)
    assert metrics.tarp(marginal, truth, jnp.ones((n, 2))).pvalue > 0.01
    about = metrics.tarp(marginal, truth, jnp.asarray(centre, jnp.float32))
    assert about.pvalue < 1e-6 and about.deviation > 0.5
    assert about.coverage[1] > 0.6  # the truth is mostly the nearest


@pytest.mark.parametrize("m", [2, 10])
@pytest.mark.parametrize("spread", [0.5, 1.0, 1.5])
def test_spread_over_error_in_closed_form(m, spread):
    """Draws N(0, s^2) of N(0, 1): ratio^2 = (m + 1) / m s^2 / (1 + s^2 / m), 1 at s = 1. Mutations: without (m + 1) / m; ddof 0."""
    n, generator = 40_000, np.random.default_rng(18)
    samples, observations = spread * generator.normal(size=(n, m, 2)), generator.normal(size=(n, 2))
    square = (m + 1) / m * spread**2 / (1 + spread**2 / m)
    found = float(metrics.spread_skill(jnp.asarray(samples, jnp.float32), jnp.asarray(observations, jnp.float32)))
    assert abs(found**2 / square - 1) < 4 * np.sqrt(2 / (2 * n) * (1 + 1 / (m - 1)))


def test_spread_over_error_by_hand_and_far_from_the_origin():
    """Two examples of 3 draws; a shift by 2^16 on a grid. Mutations: the mean of roots; a sum for the error."""
    samples, observations = np.array([[[0.0], [1.0], [5.0]], [[2.0], [2.0], [8.0]]]), np.array([[1.0], [3.0]])
    variances, errors = samples.var(1, ddof=1).mean(), ((samples.mean(1) - observations) ** 2).mean()
    for shift in (0.0, 2.0**16):
        found = metrics.spread_skill(*(jnp.asarray(a + shift, jnp.float32) for a in (samples, observations)))
        close(found, np.sqrt(4 / 3 * variances / errors), rtol=1e-5)


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0])
def test_the_variogram_score_is_its_double_loop(p):
    """With weights and without; the default is p = .5. Mutations: pairs i < j alone; sums for differences."""
    samples, observation = (
        np.asarray(SAMPLES[0], np.float64).reshape(M, 6),
        np.asarray(OBSERVATIONS[0], np.float64).ravel(),
    )
    weights = GENERATOR.uniform(size=(6, 6))
    terms = np.array([
        [(abs(observation[i] - observation[j]) ** p - np.mean(abs(samples[:, i] - samples[:, j]) ** p)) ** 2 for j in range(6)]
        for i in range(6)
    ])  # fmt: skip
    close(metrics.variogram_score(SAMPLES[0], OBSERVATIONS[0], p=p), terms.sum(), rtol=1e-5)
    weighted = metrics.variogram_score(SAMPLES[0], OBSERVATIONS[0], p=p, weights=jnp.asarray(weights, jnp.float32))
    close(weighted, (weights * terms).sum(), rtol=1e-5)
    if p == 0.5:
        close(metrics.variogram_score(SAMPLES[0], OBSERVATIONS[0]), terms.sum(), rtol=1e-5)


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0])
def test_the_variogram_score_agrees_with_scoringrules(x64, p):
    scoringrules = pytest.importorskip("scoringrules")
    samples, observation = GENERATOR.gamma(1.5, size=(M, 5)), GENERATOR.gamma(1.5, size=5)
    weights = GENERATOR.uniform(size=(5, 5))
    ours = metrics.variogram_score(jnp.asarray(samples), jnp.asarray(observation), p=p, weights=jnp.asarray(weights))
    close(ours, scoringrules.vs_ensemble(observation, samples, weights, p=p, backend="numpy"), rtol=1e-10)


def test_the_variogram_score_prefers_the_true_dependence_and_sees_no_common_shift():
    """On average over 2,000 truths, at 4 standard errors. Mutation: x_i + x_j."""
    score = jax.jit(jax.vmap(metrics.variogram_score))
    for wrong in (0.1, 0.9):
        true, observations = foretold(19, 2000, 20, 3, correlation=0.5)
        off, again = foretold(19, 2000, 20, 3, correlation=0.5, of_draws=wrong)
        same(observations, again)
        gaps = np.asarray(score(off, observations) - score(true, observations), np.float64)
        assert gaps.mean() > 4 * gaps.std() / np.sqrt(2000)
    close(score(true + 3.0, observations), score(true, observations), rtol=1e-3, atol=1e-3)


def test_the_variogram_score_has_a_gradient_and_the_memory_of_some_rows():
    """Equal elements, where a root has no slope: 0 there. 3,072 elements: all pairs of 16 draws would fill 600 MB."""
    gradient = jax.grad(lambda samples: metrics.variogram_score(samples, jnp.asarray([1.0, 2.0, 2.0])))(
        jnp.ones((4, 3))
    )
    same(gradient, 0.0)
    images, image = jax.ShapeDtypeStruct((16, 3072), jnp.float32), jax.ShapeDtypeStruct((3072,), jnp.float32)
    compiled = jax.jit(metrics.variogram_score).lower(images, image).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 64e6


def test_one_broken_number_breaks_its_own_element_alone():
    """Its histogram and transform are NaN, the other elements' are as they were; a pre-rank of all is NaN."""
    broken = SAMPLES.at[3, 2, 1, 0].set(jnp.nan)
    whole, found = (metrics.rank_histogram(samples, OBSERVATIONS, key(20)) for samples in (SAMPLES, broken))
    spoilt = np.zeros((2, 3), bool)
    spoilt[1, 0] = True
    for a, b in zip(found, whole, strict=True):
        assert np.isnan(np.asarray(a)[spoilt]).all()
        same(np.asarray(a)[~spoilt], np.asarray(b)[~spoilt])
    assert np.argwhere(np.isnan(np.asarray(metrics.pit(broken, OBSERVATIONS, key())))).tolist() == [[3, 1, 0]]
    assert np.isnan(metrics.rank_histogram(broken, OBSERVATIONS, key(), prerank=metrics.average_prerank).pvalue)


ONE = OBSERVATIONS[:, 0, 0]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: metrics.rank_histogram(SAMPLES[:-1], OBSERVATIONS, key()), "need samples"),
        (lambda: metrics.rank_histogram(SAMPLES, OBSERVATIONS[:, 0], key()), "need samples"),
        (lambda: metrics.rank_histogram(SAMPLES[:, :0], OBSERVATIONS, key()), "m >= 1"),
        (lambda: metrics.rank_histogram(SAMPLES[:0], OBSERVATIONS[:0], key()), "need samples"),
        (lambda: metrics.rank_histogram(SAMPLES, OBSERVATIONS, key(), bins=3), "bins must divide the 8 ranks"),
        (lambda: metrics.rank_histogram(SAMPLES, OBSERVATIONS, key(), bins=1), "at least 2, got bins=1"),
        (
            lambda: metrics.rank_histogram(SAMPLES, OBSERVATIONS, key(), prerank=lambda points: points),
            "a pre-rank must return",
        ),
        (lambda: metrics.pit(ONE, ONE, key()), "need samples"),
        (lambda: metrics.tarp(SAMPLES, OBSERVATIONS, ONE), "a reference for each"),
        (lambda: metrics.tarp(SAMPLES[1:], OBSERVATIONS, OBSERVATIONS), "need samples"),
        (lambda: metrics.spread_skill(SAMPLES[:, :1], OBSERVATIONS), "m >= 2"),
        (lambda: metrics.variogram_score(SAMPLES, OBSERVATIONS), "need samples"),
        (lambda: metrics.variogram_score(SAMPLES[0], OBSERVATIONS[0], p=0.0), "positive finite power"),
        (
            lambda: metrics.variogram_score(SAMPLES[0], OBSERVATIONS[0], weights=np.ones((5, 6))),
            "each pair of 6 elements",
        ),
        (lambda: metrics.variogram_score(SAMPLES[0], OBSERVATIONS[0], weights=-np.ones((6, 6))), "not negative"),
    ],
)
def test_mistakes_are_told(unchecked, make, says):
    with pytest.raises(ValueError, match=says):
        make()
