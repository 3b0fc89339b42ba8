"""Toy laws against the curves, squares and mixtures that define them, and against scikit-learn if present."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from ddjax import times
from ddjax.data import toys
from ddjax.mixtures import GaussianMixture

ANGLE = {  # the parameter u in [0, 1] read back from noiseless points
    toys.two_moons: lambda x, label: (
        np.where(label == 0, np.arctan2(x[:, 1], x[:, 0]), np.arctan2(0.5 - x[:, 1], 1 - x[:, 0])) / np.pi
    ),
    toys.circles: lambda x, label: (np.arctan2(x[:, 1], x[:, 0]) / (2 * np.pi)) % 1,
    toys.swiss_roll: lambda x, label: (np.hypot(*x.T) / (1.5 * np.pi) - 1) / 2,
    toys.s_curve: lambda x, label: label / (3 * np.pi) + 0.5,
    toys.sine: lambda x, label: (x[:, 0] / np.pi + 1) / 2,
}
SKLEARN = {
    toys.two_moons: lambda datasets: datasets.make_moons(4000),
    toys.circles: lambda datasets: datasets.make_circles(4000, factor=0.5),
    toys.swiss_roll: lambda datasets: datasets.make_swiss_roll(4000, random_state=0),
    toys.s_curve: lambda datasets: datasets.make_s_curve(4000, random_state=0),
}


@functools.cache
def drawn(toy, n=3000, **options):
    """Points and labels on the host, through jit."""
    return tuple(map(np.asarray, jax.jit(lambda key: toy(key, n, **options))(jax.random.key(0))))


def off_curve(toy, x, label):
    """Distance of noiseless points from what their own label says."""
    expected = {
        toys.two_moons: lambda: np.hypot(*(x - np.where(label[:, None] == 0, 0.0, [[1.0, 0.5]])).T) - 1,
        toys.circles: lambda: np.hypot(*x.T) - np.where(label == 0, 1.0, 0.5),
        toys.swiss_roll: lambda: np.hypot(*(x - label[:, None] * np.stack([np.cos(label), np.sin(label)], -1)).T),
        toys.s_curve: lambda: np.hypot(x[:, 0] - np.sin(label), x[:, 1] - np.sign(label) * (np.cos(label) - 1)),
        toys.sine: lambda: np.hypot(x[:, 0] - label, x[:, 1] - np.sin(label)),
    }
    return np.abs(expected[toy]()).max()


@pytest.mark.parametrize("toy", ANGLE, ids=lambda toy: toy.__name__)
def test_noiseless_points_lie_on_their_curve_with_uniform_parameter(toy):
    """Fails for exchanged labels, a lost 1/2, half a turn for a whole one, or angles that are not uniform."""
    x, label = drawn(toy, noise=0.0)
    assert off_curve(toy, x, label) < 5e-6 * np.abs(x).max()
    assert stats.kstest(ANGLE[toy](x.astype(np.float64), label), "uniform").pvalue > 1e-3


def test_the_moons_open_toward_each_other():
    """Fails for a moon on the wrong side: label 0 lies above y = 0, label 1 below y = 1/2."""
    x, label = drawn(toys.two_moons, noise=0.0)
    assert (x[label == 0, 1] >= -1e-6).all()
    assert (x[label == 1, 1] <= 0.5 + 1e-6).all()


@pytest.mark.parametrize("toy", ANGLE, ids=lambda toy: toy.__name__)
def test_stratified_angles_take_one_point_in_each_cell(toy):
    """Fails when the law of the angles is ignored."""
    x, label = drawn(toy, 64, noise=0.0, angles=times.stratified)
    groups = [label == 0, label == 1] if label.dtype == np.int32 else [np.ones(64, bool)]
    for group in groups:
        u = ANGLE[toy](x.astype(np.float64), label)[group]
        count = np.histogram(u, len(u), (0, 1))[0]
        assert (count != 1).sum() <= 2  # a point on the edge of its cell may round into the next


@pytest.mark.parametrize("toy", [toys.two_moons, toys.sine], ids=lambda toy: toy.__name__)
def test_noise_is_a_standard_deviation_in_each_direction(toy):
    """Fails for a variance in place of a standard deviation, or one shared draw for both coordinates."""
    quiet, loud = drawn(toy, noise=0.0)[0], drawn(toy, noise=0.3)[0]
    noise = (loud - quiet).astype(np.float64)
    assert stats.kstest(noise.ravel() / 0.3, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(noise.T)[0, 1]) < 4 / np.sqrt(len(noise))


def test_branches_are_balanced_and_shuffled():
    """Fails for independent labels, a lost odd point, or points in the order of their branches."""
    for n in (1, 7, 3000):
        x, label = drawn(toys.two_moons, n, noise=0.0)
        assert x.shape == (n, 2)
        assert (label == 0).sum() == n // 2
    assert 0.4 < np.mean(label[1:] != label[:-1]) < 0.6


def test_checkerboard_fills_its_eight_squares_evenly():
    """Fails for light squares, unequal squares, or labels that are not squares."""
    x, label = drawn(toys.checkerboard)
    cell = np.floor((x + 4) / 2).astype(int)
    assert ((cell >= 0) & (cell < 4)).all()
    assert (cell.sum(1) % 2 == 0).all()
    np.testing.assert_array_equal(label, cell[:, 0] * 2 + cell[:, 1] // 2)
    assert stats.chisquare(np.bincount(label, minlength=8)).pvalue > 1e-3
    assert stats.kstest(((x + 4) / 2 % 1).ravel(), "uniform").pvalue > 1e-3


@pytest.mark.parametrize(
    ("toy", "components", "k", "std"),
    [(toys.eight_gaussians, toys.eight_components, 8, 0.1**0.5)],
)
def test_gaussians_are_draws_of_their_mixture(toy, components, k, std):
    """Fails for labels of other components, or a spread that is not the mixture's own."""
    x, label = drawn(toy)
    mixture = GaussianMixture(*components())
    assert stats.chisquare(np.bincount(label, minlength=k)).pvalue > 1e-3
    assert stats.kstest((x - np.asarray(mixture.means)[label]).ravel() / std, "norm").pvalue > 1e-3
    twin = mixture.sample(jax.random.key(1), 4000)
    log_prob = jax.jit(jax.vmap(mixture.log_prob))
    assert stats.ks_2samp(np.asarray(log_prob(jnp.asarray(x))), np.asarray(log_prob(twin))).pvalue > 1e-3


def test_eight_gaussians_stand_on_their_circle_and_forty_are_distinct():
    means = np.asarray(toys.eight_components(radius=2.0).means)
    np.testing.assert_allclose(means[:, 0] + 1j * means[:, 1], 2 * np.exp(1j * np.pi / 4 * np.arange(8)), atol=1e-6)
    means = np.asarray(toys.forty_components().means)
    assert len(np.unique(means, axis=0)) == 40
    assert 30 < np.abs(means).max() <= 40


@pytest.mark.parametrize("toy", SKLEARN, ids=lambda toy: toy.__name__)
def test_the_same_cloud_as_scikit_learn(toy):
    """Each of our points has a point of theirs, of the same label, nearby, and the other way round."""
    from scipy.spatial import cKDTree

    datasets = pytest.importorskip("sklearn.datasets")
    theirs, their_label = SKLEARN[toy](datasets)
    theirs = theirs[:, [0, -1]]  # the plane of the roll and of the S
    ours, label = drawn(toy, noise=0.0)
    scale = 20.0 if label.dtype == np.int32 else 1.0  # labels of branches must agree, parameters nearly
    ours, theirs = np.c_[ours, scale * label], np.c_[theirs, scale * their_label]
    for a, b in ((ours, theirs), (theirs, ours)):
        assert cKDTree(a).query(b)[0].max() < 0.015 * np.ptp(a[:, 0])


@pytest.mark.parametrize(
    "make",
    [
        lambda: toys.two_moons(jax.random.key(0), 0),
        lambda: toys.two_moons(jax.random.key(0), 4, noise=-0.1),
        lambda: toys.sine(jax.random.key(0), 4, noise=float("nan")),
        lambda: toys.circles(jax.random.key(0), 4, factor=1.5),
        lambda: toys.checkerboard(jax.random.key(0), 0),
        lambda: toys.eight_gaussians(jax.random.key(0), 0),
        lambda: toys.forty_components(std=0.0),
    ],
)
def test_impossible_parameters_are_refused(make):
    with pytest.raises(ValueError, match="got "):
        make()


def test_a_law_is_a_function_of_its_key():
    """Fails for a key that is not used, or state between calls."""
    draw = jax.jit(functools.partial(toys.two_moons, n=16))
    np.testing.assert_array_equal(draw(jax.random.key(3)).x_0, draw(jax.random.key(3)).x_0)
    assert (draw(jax.random.key(3)).x_0 != draw(jax.random.key(4)).x_0).all()
