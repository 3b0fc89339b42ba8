"""Calibration by level of noise: the exact posterior passes, and models whose fault is known fail where they must."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.tree_util import Partial
from scipy import stats

from ddjax import judging, mixtures, schedules
from ddjax.mixtures import GaussianMixture

SCHEDULE = schedules.Rectified()
PLAIN = GaussianMixture(np.ones(1), np.array([[1.5]]), np.array([[[0.64]]]))  # N(1.5, .8^2)


def deviation(t):
    """Of the posterior of PLAIN at time t."""
    return 0.8 * t / np.hypot((1 - t) * 0.8, t)


def scaled(factor, mixture):
    """The exact posterior with its spread multiplied about its mean."""
    oracle, mean = mixtures.oracle(mixture, SCHEDULE), mixtures.mean_oracle(mixture, SCHEDULE)

    def draw(params, key, x_t, t, cond=None):
        middle = mean(None, jax.random.clone(key), x_t, t, cond)
        return middle + factor * (oracle(None, key, x_t, t, cond) - middle)

    return draw


def test_the_exact_posterior_passes_at_every_time(skewed):
    """p > .01, ratio 1, no gap at 4 standard errors. Mutations: x_t at another time; ranks of another example's x_0."""
    at = [0.05, 0.3, 0.6, 0.9, 1.0]
    found = judging.calibration(mixtures.oracle(skewed, SCHEDULE), None, skewed, SCHEDULE, jax.random.key(0), at)
    assert found.t == at
    assert min(found.rank_pvalue) > 0.01 and min(found.tarp_pvalue) > 0.01
    assert max(found.tarp_deviation) < 4 * 0.5 / np.sqrt(2000)
    assert np.abs(np.array(found.spread_skill) - 1).max() < 0.06
    assert (np.abs(found.energy_gap) < 4 * np.array(found.energy_error)).all()


def test_p_values_over_keys_are_uniform(skewed):
    """200 keys: Kolmogorov-Smirnov p > .01. Mutation: draws at another time than x_t's."""
    oracle = mixtures.oracle(skewed, SCHEDULE)
    found = [
        judging.calibration(oracle, None, skewed, SCHEDULE, key, [0.5], n=400, size=7)
        for key in jax.random.split(jax.random.key(1), 200)
    ]
    for pvalues in ([one.rank_pvalue[0] for one in found], [one.tarp_pvalue[0] for one in found]):
        assert stats.kstest(pvalues, "uniform").pvalue > 0.01


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_wrong_spread_shows_in_every_number(factor):
    """s = factor S in 1-D: ratio^2 = (m + 1) / m f^2 / (1 + f^2 / m), gap = sqrt(2 / pi) (sqrt(s^2 + S^2) - (s + S) / sqrt(2)).

    Mutations: the gap the other way round; its V-estimate.
    """
    m, t = 15, 0.6
    found = judging.calibration(scaled(factor, PLAIN), None, PLAIN, SCHEDULE, jax.random.key(2), [t], n=4000, size=m)
    assert max(found.rank_pvalue[0], found.tarp_pvalue[0]) < 1e-6
    assert abs(found.spread_skill[0] / np.sqrt((m + 1) / m * factor**2 / (1 + factor**2 / m)) - 1) < 0.06
    exact = deviation(t)
    gap = np.sqrt(2 / np.pi) * (np.hypot(factor * exact, exact) - (1 + factor) * exact / np.sqrt(2))
    assert abs(found.energy_gap[0] - gap) < 4 * found.energy_error[0] < gap


def test_a_model_that_ignores_x_t_is_told_by_coverage_and_gap_alone(skewed):
    """Draws of the data: ranks and ratio are good, for x_0 is one of them. Mutation: references that are no function of x_t."""
    ignorant = lambda params, key, x_t, t, cond: skewed.sample(key, x_t.shape[0])  # noqa: E731
    found = judging.calibration(ignorant, None, skewed, SCHEDULE, jax.random.key(3), [0.3])
    assert found.rank_pvalue[0] > 0.01 and abs(found.spread_skill[0] - 1) < 0.05
    assert found.tarp_pvalue[0] < 1e-6 and found.tarp_deviation[0] > 0.2
    assert found.energy_gap[0] > 10 * found.energy_error[0]


def fitted(factor, t, m=8, steps=400, batch=1024):
    """The denoiser a x_t + b + c xi that minimises confinement - factor sum_{j != j'} |xhat_j - xhat_j'| / 2 on PLAIN at time t."""

    def loss(params, key):
        key_data, key_noise, key_xi = jax.random.split(key, 3)
        x_0 = 1.5 + 0.8 * jax.random.normal(key_data, (batch, 1))
        x_t = (1 - t) * x_0 + t * jax.random.normal(key_noise, (batch, 1))
        draws = params["a"] * x_t + params["b"] + params["c"] * jax.random.normal(key_xi, (batch, m))
        pairs = jnp.abs(draws[:, :, None] - draws[:, None, :]).sum((1, 2))
        return jnp.mean(jnp.abs(draws - x_0).mean(1) - factor * pairs / 2)

    optimizer = optax.adam(optax.cosine_decay_schedule(0.05, steps))

    def step(state, key):
        params, opt_state = state
        with jax.numpy_dtype_promotion("standard"):
            updates, opt_state = optimizer.update(jax.grad(loss)(params, key), opt_state)
        return (optax.apply_updates(params, updates), opt_state), None

    start = {"a": jnp.zeros(()), "b": jnp.zeros(()), "c": jnp.ones(())}
    keys = jax.random.split(jax.random.key(4), steps)
    return jax.jit(lambda: jax.lax.scan(step, (start, optimizer.init(start)), keys)[0][0])()


def linear(params, key, x_t, t, cond):
    return params["a"] * x_t + params["b"] + params["c"] * jax.random.normal(key, x_t.shape)


def test_a_pair_sum_divided_twice_fails_and_divided_once_passes():
    """The public torch code's factor 1 / (m (m - 1)^2) is lam = 1 / (m - 1) in effect, whose minimiser has the spread
    S sqrt(q / (2 - q)), q = lam^2: a tenth for m = 8. One program judges both fits.
    """
    m, t = 8, 0.5
    q = (m - 1.0) ** -2
    for factor, spread in ((1 / (m * (m - 1) ** 2), np.sqrt(q / (2 - q))), (1 / (m * (m - 1)), 1.0)):
        params = fitted(factor, t, m)
        assert abs(abs(float(params["c"])) / deviation(t) - spread) < 0.03
        found = judging.calibration(linear, params, PLAIN, SCHEDULE, jax.random.key(5), [t])
        if spread == 1.0:
            assert min(found.rank_pvalue[0], found.tarp_pvalue[0]) > 0.01
            assert abs(found.spread_skill[0] - 1) < 0.06
        else:
            assert found.rank_pvalue[0] < 1e-6 and found.tarp_pvalue[0] < 1e-6
            assert found.spread_skill[0] < 0.15
            assert found.energy_gap[0] > 10 * found.energy_error[0]


def test_data_without_a_known_posterior_have_all_but_the_gap(skewed):
    """A sampler of the same numbers gives the same figures; the gap is NaN. Mutation: 0 for a gap that is not known."""
    denoiser, key = mixtures.oracle(skewed, SCHEDULE), jax.random.key(6)
    whole, found = (
        judging.calibration(denoiser, None, truth, SCHEDULE, jax.random.clone(key), [0.4, 0.8], n=200, size=4)
        for truth in (skewed, lambda key, n: skewed.sample(key, n))
    )
    assert np.isnan(found.energy_gap).all() and np.isnan(found.energy_error).all()
    for name in ("rank_pvalue", "spread_skill", "tarp_deviation", "tarp_pvalue"):
        np.testing.assert_allclose(getattr(found, name), getattr(whole, name), rtol=1e-4)


def test_images_are_judged_as_they_are():
    """Events [4, 4, 1] of a law that is known: independent pixels N(0, 1). Mutation: a direction of the last axis alone."""

    def draw(params, key, x_t, t, cond):
        t = t[:, None, None, None]
        scale = (1 - t) ** 2 + t**2
        return (1 - t) * x_t / scale + params * t / jnp.sqrt(scale) * jax.random.normal(key, x_t.shape)

    data = lambda key, n: jax.random.normal(key, (n, 4, 4, 1))  # noqa: E731
    good, bad = (
        judging.calibration(draw, jnp.float32(width), data, SCHEDULE, jax.random.key(7), [0.5]) for width in (1.0, 0.8)
    )
    assert min(good.rank_pvalue[0], good.tarp_pvalue[0]) > 0.01 and abs(good.spread_skill[0] - 1) < 0.03
    assert max(bad.rank_pvalue[0], bad.tarp_pvalue[0]) < 1e-3 and bad.spread_skill[0] < 0.85


traces = []


def traced_draw(params, key, x_t, t, cond):
    traces.append(None)
    return params * jax.random.normal(key, x_t.shape)


def test_all_times_and_params_are_one_program():
    """The denoiser is traced as often for six levels as for one. Mutation: the time as a Python number."""
    draw = Partial(traced_draw)
    judging.calibration(draw, jnp.float32(1.0), PLAIN, SCHEDULE, jax.random.key(8), [0.2], n=20, size=3)
    once = len(traces)
    judging.calibration(draw, jnp.float32(2.0), PLAIN, SCHEDULE, jax.random.key(9), [0.1, 0.5, 0.9], n=20, size=3)
    assert len(traces) == once > 0


def test_the_energy_gap_is_a_mean_of_differences_with_its_error():
    """Two examples by hand: draws 0, 2 and 1, 3 beside exact 1, 1 and 0, 4 of 0 and 2. Mutations: ddof 0; the other way round."""
    samples, exact = jnp.asarray([[0.0, 2.0], [1.0, 3.0]]), jnp.asarray([[1.0, 1.0], [0.0, 4.0]])
    found = judging.energy_gap(samples, exact, jnp.asarray([0.0, 2.0]))
    gaps = np.array([(1 - 2 / 2) - (1 - 0 / 2), 0.0])
    np.testing.assert_allclose(found, (gaps.mean(), gaps.std(ddof=1) / np.sqrt(2)), atol=1e-6)


@pytest.mark.parametrize("wrong", [{"at": [0.5, 0.0]}, {"at": [np.nan]}, {"n": 1}, {"size": 1}])
def test_mistakes_are_told(unchecked, skewed, wrong):
    settings = {"at": [0.5], "n": 10, "size": 3} | wrong
    with pytest.raises(ValueError, match=r"need positive times|at least 2, got (n|size)=1"):
        judging.calibration(
            mixtures.oracle(skewed, SCHEDULE), None, skewed, SCHEDULE, jax.random.key(0), settings.pop("at"), **settings
        )
