"""Precision, recall, density and coverage by their definitions, and the other metrics of the two-moons page."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close
from scipy import special, stats
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from ddjax import metrics
from ddjax.data import toys
from ddjax.metrics import reference

GENERATOR = np.random.default_rng(0)
X, Y = GENERATOR.gamma(1.5, size=(70, 3)), GENERATOR.normal(1.0, 1.5, size=(50, 3))


def brute_prdc(real, fake, k):
    """The definitions, point by point, with closed balls, and spheres shared out for the density."""

    def radius(points, i):
        return np.sort([np.linalg.norm(points[i] - other) for j, other in enumerate(points) if j != i])[k - 1]

    real_radii = [radius(real, i) for i in range(len(real))]
    fake_radii = [radius(fake, j) for j in range(len(fake))]
    distance = np.array([[np.linalg.norm(a - b) for b in fake] for a in real])
    in_real = distance <= np.array(real_radii)[:, None] * (1 + 1e-12)
    in_fake = distance <= np.array(fake_radii)[None] * (1 + 1e-12)
    density = 0
    for i in range(len(real)):
        own = np.sort([np.linalg.norm(real[i] - other) / max(real_radii[i], 1e-300) for other in real])
        from_fake = distance[i] / max(real_radii[i], 1e-300)
        sphere = np.isclose(own, 1, rtol=1e-12) if real_radii[i] else own == 0
        share = (k - ((own < 1) & ~sphere).sum()) / sphere.sum()
        sphere = np.isclose(from_fake, 1, rtol=1e-12) if real_radii[i] else from_fake == 0
        density += (((from_fake < 1) & ~sphere).sum() + share * sphere.sum()) / (k * len(fake))
    return in_real.any(0).mean(), in_fake.any(1).mean(), density, in_real.any(1).mean()


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize(
    ("real", "fake"),
    [
        (X, Y),
        (Y, X),
        (np.round(X), np.round(Y)),
        (np.array(np.meshgrid(*[np.arange(4)] * 3), float).reshape(3, -1).T, np.round(2 * Y)),
    ],
    ids=["skewed", "exchanged", "discrete", "lattice"],
)
def test_prdc_by_its_definition(real, fake, k):
    """Fails for exchanged sets, the point counted as its own neighbour, k off by one, open balls at ties, or whole spheres."""
    close(metrics.prdc(real, fake, k=k), brute_prdc(real, fake, k), rtol=1e-12)


@pytest.mark.parametrize("dimension", [3, 30])
def test_equal_sets_are_perfect_ties_and_copies_included(dimension):
    """All four numbers 1, by trees and by products. Mutations: closed balls in the density (1.2), open ones (0 for copies)."""
    spread = np.eye(3, dimension)
    for points in (X, np.round(X), np.repeat(X[:5], 8, 0)):
        close(metrics.prdc(points @ spread, points @ spread, k=5), (1, 1, 1, 1), rtol=1e-12)


def test_density_is_one_at_a_discrete_truth():
    """300 throws of a loaded die against 300 others, 1 by the law of total mass; closed balls say far more, open ones 0."""
    throws = GENERATOR.choice(6, (2, 300, 1), p=np.array([1, 1, 2, 3, 4, 5]) / 16).astype(float)
    assert metrics.prdc(*throws, k=5).density == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("dimension", [3, 30])
def test_a_stray_point_far_away_changes_only_itself(dimension):
    """1e9 away: as one imprecise point. Mutation: one bound on rounding for all pairs, within which all lie in all balls."""
    spread = np.eye(3, dimension)
    stray = np.concatenate([Y + 20, [[1e9, 0, 0]]]) @ spread
    assert metrics.prdc(X @ spread, stray, k=5)[::2] == (0, 0)
    whole, with_stray = (metrics.prdc(X @ spread, points @ spread, k=5) for points in (Y, np.r_[Y, [[1e9, 0, 0]]]))
    close(with_stray.precision * 51, whole.precision * 50, rtol=1e-12)
    close(with_stray.density * 51, whole.density * 50, rtol=1e-12)
    assert with_stray.coverage == whole.coverage


def test_coverage_and_density_at_the_truth():
    """Density 1 and coverage 1 - C(2n - k - 1, n) / C(2n - 1, n) in expectation, for any continuous law.

    References: Naeem et al., arXiv 2002.09797, lemmas 1 and 2.
    """
    n, k = 400, 5
    values = np.array([metrics.prdc(*GENERATOR.gamma(1.5, size=(2, n, 2)), k=k) for _ in range(40)])
    expected = 1 - np.exp(
        special.gammaln(2 * n - k) + special.gammaln(n) - special.gammaln(n - k) - special.gammaln(2 * n)
    )
    for value, truth in ((values[:, 2], 1.0), (values[:, 3], expected)):
        assert abs(value.mean() - truth) < 4 * value.std() / np.sqrt(40)


def test_prdc_tells_what_is_missing_from_what_is_too_much():
    """One of two modes: precise, half covered; a wide blur: recalled, not precise."""
    real = toys.two_moons(jax.random.key(0), 1000, noise=0.03).x_0
    one = toys.two_moons(jax.random.key(1), 2000, noise=0.03)
    mode = metrics.prdc(real, one.x_0[one.cond == 0], k=5)
    assert mode.precision > 0.9
    assert 0.4 < mode.coverage < 0.6
    assert mode.recall < 0.6
    blur = metrics.prdc(real, real + 0.3 * jax.random.normal(jax.random.key(2), real.shape), k=5)
    assert blur.recall > 0.9
    assert blur.precision < 0.6
    assert blur.density < 0.6


def test_kde_nll_by_scipy_and_by_its_definition():
    """Fails for exchanged sets, a variance in place of the bandwidth, or a lost dimension in the normaliser."""
    real, fake = X[:, :1], Y[:, :1]
    kde = stats.gaussian_kde(fake.T, bw_method=0.4 / fake.std(ddof=1))
    found = metrics.kde_nll(jnp.asarray(real, jnp.float32), jnp.asarray(fake, jnp.float32), bandwidth=0.4)
    close(found, -np.log(kde(real.T)).mean(), rtol=1e-5)
    kernel = stats.multivariate_normal(np.zeros(3), 0.7**2 * np.eye(3))
    density = [np.mean([kernel.pdf(x - y) for y in Y]) for x in X]
    found = metrics.kde_nll(jnp.asarray(X, jnp.float32), jnp.asarray(Y, jnp.float32), bandwidth=0.7)
    close(found, -np.log(density).mean(), rtol=1e-5)


def test_per_class_is_the_metric_of_each_class():
    """In the order of the labels. Fails for labels of one set used for both."""
    labels = np.arange(70) % 3
    spread = metrics.per_class(lambda a, b: (a.sum(), b.sum()), X, labels, Y, np.arange(50)[::-1] % 3, classes=3)
    for label in range(3):
        close(spread[label], (X[labels == label].sum(), Y[np.arange(50)[::-1] % 3 == label].sum()), rtol=1e-5)


def test_reference_settings_by_their_definitions():
    """W_1 after standardising by the real set, biased MMD^2 with gamma = 1, coverage and density with k = 5.

    Fails for standardising by the wrong set or by both, the unbiased estimator, or gamma read as a bandwidth.
    """
    real, fake = X[:50].astype(np.float32), Y.astype(np.float32)
    a, b = (real - real.mean(0)) / real.std(0), (fake - real.mean(0)) / real.std(0)
    cost = cdist(a, b)
    close(
        reference.wasserstein_1(jnp.asarray(real), jnp.asarray(fake)),
        cost[linear_sum_assignment(cost)].mean(),
        rtol=1e-5,
    )
    kernel = lambda a, b: np.exp(-cdist(a, b, "sqeuclidean")).mean()  # noqa: E731
    expected = kernel(real, real) + kernel(fake, fake) - 2 * kernel(real, fake)
    close(reference.mmd_v(jnp.asarray(real), jnp.asarray(fake)), expected, rtol=1e-4)
    both = metrics.prdc(real, fake, k=5)
    assert (reference.coverage(real, fake), reference.density(real, fake)) == (both.coverage, both.density)


def test_reference_sinkhorn_is_the_cost_of_the_entropic_plan():
    """Against 2,000 iterations in float64: <P, C> alone, not debiased, nor with the entropy added."""
    real, fake = X[:40] / 2, Y[:30] / 2
    cost = cdist(real, fake, "sqeuclidean")
    f, g = np.zeros(40), np.zeros(30)
    for _ in range(2000):
        f = -0.1 * special.logsumexp((g[None] - cost) / 0.1 - np.log(30), axis=1)
        g = -0.1 * special.logsumexp((f[:, None] - cost) / 0.1 - np.log(40), axis=0)
    plan = np.exp((f[:, None] + g[None] - cost) / 0.1) / (40 * 30)
    found = reference.sinkhorn_cost(jnp.asarray(real, jnp.float32), jnp.asarray(fake, jnp.float32))
    assert found.converged
    close(found.cost, (plan * cost).sum(), rtol=1e-3)


def test_floors_are_recovered():
    """A metric between fresh samples of the truth lies in its own floor. Fails for a floor of identical samples."""
    sample = lambda key, n: toys.two_moons(key, n, noise=0.03).x_0  # noqa: E731
    for metric in (reference.coverage, reference.density, reference.mmd_v):
        floor = metrics.floor(metric, sample, jax.random.key(0), n=300, repeats=8)
        fresh = float(metric(sample(jax.random.key(1), 300), sample(jax.random.key(2), 300)))
        assert floor.std > 0
        assert abs(fresh - floor.mean) < 4 * floor.std


@pytest.mark.parametrize(
    "make",
    [
        lambda: metrics.prdc(X, Y[:, :2], k=3),
        lambda: metrics.prdc(X, Y, k=0),
        lambda: metrics.prdc(X, Y, k=50),
        lambda: metrics.kde_nll(jnp.ones((3, 2)), jnp.ones((3, 2)), bandwidth=0.0),
        lambda: metrics.kde_nll(jnp.ones((3, 2)), jnp.ones((3, 1)), bandwidth=0.1),
        lambda: metrics.per_class(max, X, np.zeros(3, int), Y, np.zeros(50, int), classes=1),
        lambda: metrics.per_class(max, X, np.zeros(70, int), Y, np.full(50, 2), classes=2),
        lambda: metrics.per_class(max, X, np.full(70, -1), Y, np.zeros(50, int), classes=2),
        lambda: metrics.per_class(max, X, np.zeros(70, int), Y, np.zeros(50, int), classes=2),
        lambda: reference.sinkhorn_cost(jnp.ones((3, 2)), jnp.ones((3, 2)), regularisation=-0.1),
        lambda: reference.sinkhorn_cost(jnp.ones((3, 2)), jnp.ones((3, 1))),
        lambda: reference.wasserstein_1(jnp.ones((3, 2)), jnp.ones((3, 2))),
    ],
)
def test_impossible_requests_are_refused(unchecked, make):
    with pytest.raises(ValueError, match="got "):
        make()
