"""Distances between samples against double loops, their bias, their floor and their memory."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close
from scipy import stats

from ddjax import metrics, scoring, transport

GENERATOR = np.random.default_rng(0)
X, Y = GENERATOR.gamma(1.5, size=(70, 3)), GENERATOR.normal(1.0, 1.5, size=(50, 3))
KERNELS = {
    "default": (None, lambda r: np.exp(-(r**2) / 2)),
    "rbf": (scoring.rbf(0.8), lambda r: np.exp(-(r**2) / (2 * 0.8**2))),
    "imq": (scoring.imq(0.7), lambda r: (r**2 + 0.7) ** -0.5),
    "laplace": (scoring.exponential(1.4), lambda r: np.exp(-r / 1.4)),
    "energy": (scoring.energy(0.5), lambda r: -(r**0.5)),
}


def brute_mmd(x, y, k, estimator):
    """E k(x, x') + E k(y, y') - 2 E k(x, y), one pair at a time."""

    def mean(a, b, same):
        pairs = [(i, j) for i in range(len(a)) for j in range(len(b)) if not (same and estimator == "u" and i == j)]
        return np.mean([k(np.linalg.norm(a[i] - b[j])) for i, j in pairs])

    return mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False)


@pytest.mark.parametrize("estimator", ["u", "v"])
@pytest.mark.parametrize("name", KERNELS)
def test_mmd_is_its_double_loop(name, estimator):
    """Unequal sizes that blocks do not divide.

    Fails for a lost scale, exchanged factors n/(n - 1), or a std for a variance.
    """
    kernel, k = KERNELS[name]
    found = metrics.mmd(jnp.asarray(X, jnp.float32), jnp.asarray(Y, jnp.float32), kernel=kernel, estimator=estimator)
    close(found, brute_mmd(X, Y, k, estimator), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("beta", "estimator"), [(1.0, "u"), (1.5, "v")])
def test_energy_distance_is_its_double_loop(beta, estimator):
    found = metrics.energy_distance(
        jnp.asarray(X, jnp.float32), jnp.asarray(Y, jnp.float32), beta=beta, estimator=estimator
    )
    close(found, brute_mmd(X, Y, lambda r: -(r**beta), estimator), rtol=1e-4)
    usual = metrics.energy_distance(jnp.asarray(X, jnp.float32), jnp.asarray(Y, jnp.float32))
    close(usual, brute_mmd(X, Y, lambda r: -r, "u"), rtol=1e-4)


@pytest.mark.parametrize("name", ["rbf", "energy"])
def test_u_is_unbiased_and_v_is_not_negative(name):
    """300 pairs of samples of one law: U averages to 0, V is positive.

    Fails when a point meets itself in U.
    """
    kernel = KERNELS[name][0]
    x, y = jax.random.gamma(jax.random.key(0), 1.5, (2, 300, 12, 2))
    u, v = (
        np.asarray(jax.vmap(lambda x, y, e=e: metrics.mmd(x, y, kernel=kernel, estimator=e))(x, y), np.float64)
        for e in ("u", "v")
    )
    assert abs(u.mean()) < 4 * u.std() / np.sqrt(300)
    assert v.mean() > 10 * v.std() / np.sqrt(300)
    assert (v > 0).all()
    assert abs(metrics.mmd(x[0], x[0], kernel=kernel, estimator="v")) < 1e-7


def test_wide_kernels_compare_means_without_cancellation():
    """MMD^2 at bandwidth 300 is |mean x - mean y|^2 / 300^2; fails for k(0) - k as written on paper."""
    x, y = jnp.asarray(X, jnp.float32), jnp.asarray(Y, jnp.float32)
    gap = X.mean(0) - Y.mean(0)
    wide = metrics.mmd(x, y, kernel=scoring.rbf(300.0), estimator="v") * 300.0**2
    close(wide, gap @ gap, rtol=1e-3)


@pytest.mark.parametrize("name", KERNELS)
def test_samples_far_from_the_origin(name):
    """A shift by 2^16 of numbers on a grid of 1/64 is exact in float32, and changes no distance of theirs.

    Mutation: |x|^2 + |y|^2 - 2 x.y for the square of a difference.
    """
    x, y = (jnp.asarray(np.round(points * 64) / 64, jnp.float32) for points in (X, Y))
    for metric in (partial(metrics.mmd, kernel=KERNELS[name][0]), partial(metrics.kde_nll, bandwidth=0.5)):
        close(metric(x + 2.0**16, y + 2.0**16), metric(x, y), rtol=1e-6)


def test_mmd_memory_is_that_of_a_block():
    """50,000 points: a matrix of pairs would take 10 GB."""
    sample = jax.ShapeDtypeStruct((50_000, 2), jnp.float32)
    compiled = jax.jit(metrics.mmd).lower(sample, sample).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 64e6


def test_floor_is_the_spread_between_fresh_samples():
    """The difference of means of n draws has std sqrt(2 / n).

    Fails for ddof 0 hidden in it, or one sample compared with itself.
    """
    used = []

    def sample(key, n):
        used.append(np.asarray(jax.random.normal(key, (n, 1)), np.float64))
        return jnp.asarray(used[-1], jnp.float32)

    floor = metrics.floor(lambda x, y: x.mean() - y.mean() + 3.0, sample, jax.random.key(1), n=50, repeats=40)
    values = 3 + np.array([x.mean() - y.mean() for x, y in zip(used[::2], used[1::2], strict=True)])
    assert len(values) == 40
    close(floor, (values.mean(), values.std(ddof=1)), rtol=1e-4)
    assert abs(floor.mean - 3) < 4 * np.sqrt(2 / 50 / 40)
    assert abs(floor.std / np.sqrt(2 / 50) - 1) < 4 / np.sqrt(2 * 39)


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_sliced_wasserstein_of_numbers_is_exact(p):
    """In 1-D every direction is +-1."""
    x, y = (jnp.asarray(a, jnp.float32) for a in (X[:50, :1], Y[:, :1]))
    found = metrics.sliced_wasserstein(x, y, jax.random.key(2), p=p)
    close(found, metrics.wasserstein(x, y, p=p), rtol=1e-5)
    if p == 1:
        close(found, stats.wasserstein_distance(X[:50, 0], Y[:, 0]), rtol=1e-5)


def test_sliced_wasserstein_of_a_translation():
    """SW_2^2 = mean (theta . c)^2 -> |c|^2 / d, within 4 standard errors of the directions.

    Fails without the unit norm.
    """
    shift, d, directions = np.array([0.6, -1.1, 2.0]), 3, 2000
    x = jnp.asarray(X, jnp.float32)
    moved = x[::-1] + jnp.asarray(shift, jnp.float32)[None]
    found = float(metrics.sliced_wasserstein(x, moved, jax.random.key(3), projections=directions)) ** 2
    square = shift @ shift
    assert abs(found - square / d) < 4 * square * np.sqrt(2 * (d - 1) / (d**2 * (d + 2)) / directions)


def test_the_slope_of_the_sliced_distance_is_that_of_sorted_pairs():
    """In 1-D d W_2^2 / dx = 2 (x - its partner) / n: negative numbers and zeros of both signs stay in order."""
    x, y = jnp.asarray([[0.5], [-2.0], [-0.0], [-0.25], [3.0]]), jnp.asarray([[1.0], [-1.0], [0.0], [-3.0], [2.0]])
    partner = jnp.asarray([[1.0], [-3.0], [0.0], [-1.0], [2.0]])
    slope = jax.grad(lambda x: metrics.sliced_wasserstein(x, y, jax.random.key(4), projections=3) ** 2)(x)
    close(slope, 2 * (x - partner) / 5, rtol=1e-5)


def test_metrics_offers_what_transport_computes():
    assert metrics.sinkhorn_divergence is transport.sinkhorn_divergence
    assert metrics.wasserstein is transport.wasserstein


FIVE, SIX = jnp.zeros((5, 2)), jnp.zeros((6, 2))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: metrics.mmd(FIVE, jnp.zeros((5, 3))), "need samples"),
        (lambda: metrics.mmd(FIVE, FIVE[:1]), "need samples"),
        (lambda: metrics.mmd(FIVE, FIVE[:, 0]), "need samples"),
        (lambda: metrics.mmd(FIVE, SIX, estimator="fair"), "estimator must be"),
        (lambda: metrics.energy_distance(FIVE, SIX, beta=2.5), "beta must lie in"),
        (lambda: metrics.sliced_wasserstein(FIVE, SIX, jax.random.key(0)), "equal shape"),
        (lambda: metrics.sliced_wasserstein(FIVE, FIVE, jax.random.key(0), p=0.5), "p >= 1"),
        (
            lambda: metrics.sliced_wasserstein(FIVE, FIVE, jax.random.key(0), projections=0),
            "at least 1, got projections=0",
        ),
        (
            lambda: metrics.floor(metrics.mmd, lambda key, n: FIVE, jax.random.key(0), n=5, repeats=4),
            "at least 5, got repeats=4",
        ),
    ],
)
def test_mistakes_are_told(unchecked, make, says):
    with pytest.raises(ValueError, match=says):
        make()
