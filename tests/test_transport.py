"""Optimal transport against brute force over permutations, SciPy, and what translations must do."""

import itertools
import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close
from numpy.testing import assert_array_equal as same
from scipy import optimize, stats

from ddjax import transport

GENERATOR = np.random.default_rng(0)
X, Y = GENERATOR.gamma(1.5, size=(6, 3)), GENERATOR.normal(1.0, 2.0, size=(6, 3))
SHIFT = np.array([0.6, -1.1, 2.0])


def single(*arrays):
    return tuple(jnp.asarray(a, jnp.float32) for a in arrays)


def test_assignment_is_the_best_permutation():
    """SciPy's, also under jit and vmap; fails for the inverse permutation."""
    costs = GENERATOR.uniform(size=(3, 6, 6)).astype(np.float32)
    expected = [optimize.linear_sum_assignment(cost)[1] for cost in costs]
    assert not any((p[p] == np.arange(6)).all() for p in expected)
    same(jax.jit(jax.vmap(transport.assignment))(jnp.asarray(costs)), expected)
    same(transport.assignment(jnp.asarray(costs[0])), expected[0])


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_wasserstein_is_the_best_of_all_permutations(p):
    """6! = 720 of them; fails for the power left out of the cost, or the root left out of the value."""
    powered = np.linalg.norm(X[:, None] - Y[None], axis=-1) ** p
    best = min(powered[np.arange(6), list(order)].mean() for order in itertools.permutations(range(6)))
    close(transport.wasserstein(*single(X, Y), p=p), best ** (1 / p), rtol=1e-5)
    close(transport.wasserstein(*single(X, X[::-1] + SHIFT), p=p), np.linalg.norm(SHIFT), rtol=1e-5)


def test_wasserstein_of_numbers():
    """W_1 is SciPy's, W_2 sorts."""
    x, y = GENERATOR.gamma(1.0, size=(200, 1)), GENERATOR.normal(size=(200, 1))
    w_1 = stats.wasserstein_distance(x[:, 0], y[:, 0])
    w_2 = np.sqrt(np.mean((np.sort(x[:, 0]) - np.sort(y[:, 0])) ** 2))
    close(transport.wasserstein(*single(x, y), p=1.0), w_1, rtol=1e-5)
    close(transport.wasserstein(*single(x, y), p=2.0), w_2, rtol=1e-5)


def test_sinkhorn_of_a_sample_with_itself_is_0():
    """Debiased: fails for the plain entropic cost."""
    (x,) = single(GENERATOR.normal(size=(40, 3)))
    assert abs(transport.sinkhorn_divergence(x, x[::-1], blur=0.5)) < 1e-4


@pytest.mark.parametrize("blur", [0.3, 1.0])
def test_sinkhorn_under_translation(blur):
    """S(x, y + c) = S(x, y) + c . (mean y - mean x) + |c|^2 / 2 at every blur, also for unequal sizes.

    Fails for ott's own convention (twice the value), or a temperature that moves with the data.
    """
    x, y, shift = GENERATOR.gamma(1.5, size=(40, 3)), GENERATOR.normal(size=(30, 3)), SHIFT
    first = transport.sinkhorn_divergence(*single(x, y), blur=blur)
    moved = transport.sinkhorn_divergence(*single(x, y + shift), blur=blur)
    close(moved - first, shift @ (y.mean(0) - x.mean(0)) + shift @ shift / 2, rtol=2e-3)


def test_sinkhorn_between_its_two_limits():
    """Small blur: W_2^2 / 2. Large blur: |mean x - mean y|^2 / 2. Fails for epsilon = blur or blur^2 / 2."""
    x, y = GENERATOR.normal(size=(30, 2)), GENERATOR.normal(1.0, 2.0, size=(30, 2))
    exact = float(transport.wasserstein(*single(x, y), p=2.0)) ** 2 / 2
    sharp = transport.sinkhorn(*single(x, y), blur=0.05, max_iterations=20000)
    assert sharp.converged
    close(sharp.divergence, exact, rtol=0.01)
    gap = x.mean(0) - y.mean(0)
    close(transport.sinkhorn_divergence(*single(x, y), blur=60.0), gap @ gap / 2, rtol=0.01)


def test_sinkhorn_of_two_points_is_its_closed_form():
    """Two points against two, by the 2 x 2 fixed point in float64: pins the temperature blur^2."""
    x, y, blur = np.array([[0.0], [1.0]]), np.array([[0.2], [2.0]]), 0.7

    def entropic(x, y):
        """Entropic cost with ground cost |x - y|^2 / 2 at temperature blur^2, relative to the product."""
        cost, f, g = (x - y.T) ** 2 / 2, np.zeros(2), np.zeros(2)
        for _ in range(2000):
            f = -(blur**2) * np.log(np.mean(np.exp((g[None, :] - cost) / blur**2), 1))
            g = -(blur**2) * np.log(np.mean(np.exp((f[:, None] - cost) / blur**2), 0))
        return f.mean() + g.mean()

    expected = entropic(x, y) - entropic(x, x) / 2 - entropic(y, y) / 2
    close(transport.sinkhorn_divergence(*single(x, y), blur=blur), expected, rtol=1e-3)


def test_unconverged_sinkhorn_warns():
    """Outside jit it warns; the flag is there under jit too."""
    x, y = single(GENERATOR.normal(size=(30, 2)), GENERATOR.normal(1.0, 2.0, size=(30, 2)))
    assert not jax.jit(partial(transport.sinkhorn, max_iterations=20), static_argnames="blur")(
        x, y, blur=0.01
    ).converged
    with pytest.warns(UserWarning, match="did not converge"):
        transport.sinkhorn_divergence(x, y, blur=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        transport.sinkhorn_divergence(x, y, blur=1.0)


def points(n, d=2):
    """A sample that has a shape only."""
    return jax.ShapeDtypeStruct((n, d), jnp.float32)


@pytest.mark.parametrize(
    ("call", "x", "y", "says"),
    [
        (partial(transport.wasserstein, p=2.0), points(5), points(6), "equal shape"),
        (partial(transport.wasserstein, p=0.5), points(5), points(5), "at least 1"),
        (partial(transport.wasserstein, p=2.0), points(30_000), points(30_000), "GiB"),
        (partial(transport.sinkhorn_divergence, blur=1.0), points(5), points(5, 3), "need samples"),
        (partial(transport.sinkhorn_divergence, blur=0.0), points(5), points(5), "blur must be positive"),
        (partial(transport.sinkhorn_divergence, blur=1.0), points(5), points(30_000), "GiB"),
        (lambda x, y: transport.assignment(x), points(5), points(5), "square cost"),
    ],
)
def test_mistakes_are_told_before_any_compute(unchecked, call, x, y, says):
    with pytest.raises(ValueError, match=says):
        jax.eval_shape(call, x, y)


@pytest.mark.parametrize("blur", [0.5, 0.1])
def test_blocked_sinkhorn_is_otts(blur):
    """Own blocks against ott-jax on unequal laws. Mutations: no debiasing, cost not halved, blur for blur^2, no log n."""
    x = jax.random.normal(jax.random.key(0), (300, 2))
    y = 0.7 * jax.random.normal(jax.random.key(1), (200, 2)) + jnp.array([[0.5, -1.0]])
    ours, theirs = transport.sinkhorn_blocked(x, y, blur=blur), transport.sinkhorn(x, y, blur=blur)
    assert ours.converged and theirs.converged
    close(ours.divergence, theirs.divergence, rtol=1e-4)
    assert not transport.sinkhorn_blocked(x, y, blur=blur, max_iterations=3).converged


def test_blocked_sinkhorn_fits_into_memory():
    """50,000 points against 50,000: under 100 MB of temporaries, where one dense cost has 10 GB."""
    points = jax.ShapeDtypeStruct((50_000, 2), jnp.float32)
    compiled = transport._sinkhorn_blocked.lower(points, points, 0.1, 1e-3, 10).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 100e6


@pytest.mark.parametrize("arguments", [{"blur": 0.0}, {"blur": -1.0}])
def test_blocked_sinkhorn_refuses_a_blur_that_is_not_positive(arguments):
    with pytest.raises(ValueError, match="positive blur"):
        transport.sinkhorn_blocked(jnp.zeros((3, 2)), jnp.zeros((3, 2)), **arguments)
