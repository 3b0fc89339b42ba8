"""Frechet and kernel distances by closed forms and direct formulas; neighbours and the check of memory by what must hold."""

import os
from fractions import Fraction

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose as close
from scipy import linalg
from scipy.spatial.distance import cdist

from ddjax import metrics
from ddjax.metrics import neighbours
from ddjax.metrics.memorisation import threshold

GENERATOR = np.random.default_rng(0)
X, Y = GENERATOR.gamma(1.5, size=(60, 4)), GENERATOR.normal(1.0, 1.5, size=(50, 4)) @ GENERATOR.normal(size=(4, 4))


def test_frechet_distance_of_commuting_gaussians():
    """|m - m'|^2 + sum (s - s')^2 for equal eigenvectors.

    Fails for a missing mean, a root forgotten, or the distance instead of its square.
    """
    basis = np.linalg.qr(GENERATOR.normal(size=(3, 3)))[0]
    s, r = np.array([1.0, 2.0, 0.5]), np.array([3.0, 0.1, 0.0])
    x, y = (metrics.Statistics(mean, (basis * v**2) @ basis.T) for mean, v in ((s, s), (r - 1, r)))
    close(metrics.frechet_distance(x, y), np.sum((s - r + 1) ** 2) + np.sum((s - r) ** 2), rtol=1e-12)


def test_frechet_distance_of_samples_is_the_formula_with_scipys_root():
    """Fails for the biased covariance, or the trace of another product."""
    a, b = np.cov(X.T), np.cov(Y.T)
    wanted = np.sum((X.mean(0) - Y.mean(0)) ** 2) + np.trace(a + b - 2 * linalg.sqrtm(a @ b).real)
    close(metrics.frechet_distance(X, Y), wanted, rtol=1e-10)
    close(metrics.frechet_distance(metrics.Statistics.of(X), Y), wanted, rtol=1e-10)


def test_frechet_distance_is_symmetric_and_zero_at_equal_even_where_singular():
    """5 points in 40 dimensions, equal columns, float32. Fails for NaN, or noise of 1e-8 d from null directions."""
    few = GENERATOR.normal(size=(5, 40)).astype(np.float32)
    for points in (X, few, np.repeat(X, 3, 1), np.zeros((3, 2)) + 7):
        assert metrics.frechet_distance(points, points) < 1e-10
    other = few[:, ::-1] * 2
    close(metrics.frechet_distance(few, other), metrics.frechet_distance(other, few), rtol=1e-10)
    assert metrics.frechet_distance(few, other) > 1


@pytest.mark.parametrize("n, m", [(5, 9), (9, 5), (39, 12), (40, 3)])
def test_fewer_points_than_dimensions_change_the_way_and_not_the_distance(n, m):
    """Eq. (B) against the roots of covariances in 40 dimensions. Mutations: n for n - 1; one sample not centred."""
    x, y = GENERATOR.gamma(1.5, size=(n, 40)), GENERATOR.normal(1.0, 1.5, size=(m, 40))
    by_roots = metrics.frechet_distance(metrics.Statistics.of(x), metrics.Statistics.of(y))
    close(metrics.frechet_distance(x, y), by_roots, rtol=1e-6)  # a root takes half the digits of a null direction


def test_cached_statistics_are_computed_once_and_survive_damage(tmp_path):
    """Fails when the file is not read back, or a cut or foreign one is believed."""
    calls = []

    def points():
        calls.append(1)
        return X

    for _ in range(2):
        stored = metrics.cached_statistics(tmp_path / "new", "digits-abc.train", points)
        close(stored.cov, np.cov(X.T), rtol=1e-12)
    assert len(calls) == 1
    (file,) = (tmp_path / "new").iterdir()
    whole = file.read_bytes()
    for damaged in (whole[:-40], b"", b"\x80\x04."):
        file.write_bytes(damaged)
        close(metrics.cached_statistics(tmp_path / "new", "digits-abc.train", points).mean, X.mean(0), rtol=1e-12)
    foreign = [(np.zeros(4), np.zeros((3, 3))), (np.array(["a"]), np.array([["b"]])), (np.zeros(()), np.zeros(()))]
    for mean, cov in foreign:
        np.savez(file, mean=mean, cov=cov)
        close(metrics.cached_statistics(tmp_path / "new", "digits-abc.train", points).mean, X.mean(0), rtol=1e-12)
    assert len(calls) == 7
    generator = np.random.default_rng(0)
    for _ in range(300):  # bytes that fell over, one at a time: the statistics, or a fresh start, and never an error
        damaged = bytearray(whole)
        damaged[generator.integers(len(damaged))] = generator.integers(256)
        file.write_bytes(damaged)
        assert np.isfinite(metrics.cached_statistics(tmp_path / "new", "digits-abc.train", points).cov).all()
    file.unlink()
    os.mkfifo(
        file
    )  # to read it would wait for ever, and only a plain file is replaced: refused before anything is computed
    calls.clear()
    with pytest.raises(OSError, match="it is a pipe"):
        metrics.cached_statistics(tmp_path / "new", "digits-abc.train", points)
    assert not calls and file.is_fifo()
    with pytest.raises(ValueError, match="names have letters"):
        metrics.cached_statistics(tmp_path, "../x", points)


def test_kernel_distance_of_one_block_is_the_u_statistic():
    """By loops over pairs. Fails for pairs of a point with itself, another degree, or d forgotten."""
    x, y = X[:7], Y[:5]

    def k(a, b):
        return (a @ b / 4 + 1) ** 3

    within = [np.mean([k(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j]) for z in (x, y)]
    wanted = sum(within) - 2 * np.mean([k(a, b) for a in x for b in y])
    found = metrics.kernel_distance(x, y, jax.random.key(0))
    close(found.mean, wanted, rtol=1e-12)
    assert np.isnan(found.error)


def test_kernel_distance_is_unbiased_at_the_truth_and_its_error_is_honest():
    """0 within 4 of its own errors for sorted samples of one law, far beyond for another.

    Fails for blocks taken in the order of the data, or an error that forgets the number of blocks.
    """
    x, y = (np.sort(GENERATOR.normal(size=(4000, 1)), 0) for _ in range(2))
    same = metrics.kernel_distance(x, y, jax.random.key(0), block=100)
    assert abs(same.mean) < 4 * same.error
    assert same.error < 0.1
    moved = metrics.kernel_distance(x, y + 1, jax.random.key(0), block=100)
    assert moved.mean > 10 * moved.error


def test_nearest_neighbours_against_all_distances():
    """Copies are at distance 0 exactly, far from the origin too. Fails for another centre on one side, or blocks lost."""
    data, points = GENERATOR.normal(size=(400, 30)) + 1e3, GENERATOR.normal(size=(300, 30)) + 1e3
    points[7] = data[11]
    index, distance = metrics.nearest(points, data)
    everything = cdist(points, data)
    assert (index == everything.argmin(1)).all()
    close(distance, everything.min(1), rtol=1e-12)
    assert distance[7] == 0


@pytest.mark.parametrize("k", [1, 4])
def test_balls_by_products_are_those_by_trees(k):
    """Precision to coverage in 3 dimensions, and the same points in 24, ties and copies included.

    Fails for a radius that is not squared, open balls, or copies told apart by rounding.
    """
    basis = np.linalg.qr(GENERATOR.normal(size=(24, 24)))[0][:3]
    pairs = [(X[:, :3], Y[:, :3]), (np.round(X[:, :3]), np.round(Y[:, :3])), (np.repeat(X[:5, :3], 8, 0), Y[:, :3])]
    for real, fake in pairs:
        close(metrics.prdc(real @ basis, fake @ basis, k=k), metrics.prdc(real, fake, k=k), rtol=1e-12)
    originals = np.random.default_rng(0).normal(size=(40, 24))
    assert metrics.prdc(np.repeat(originals, 6, 0), originals[:30], k=5).precision == 1
    held, within, covered = neighbours.inside(X, np.full(60, np.inf), Y)
    assert (held == 50).all() and (within == 50).all() and covered.all()


def test_memory_shows_and_its_absence_too():
    """Fresh data have ratio 1, rank 1/2, copies 0; copies have 0, 1, 1; points far off have rank 0.

    Fails for samples and held-out data exchanged, or distances to the samples.
    """
    train, held_out, fresh = (GENERATOR.normal(size=(n, 6)) for n in (500, 2000, 2000))
    ratio, rank, copies = metrics.memorisation(fresh, train, held_out)
    assert abs(ratio - 1) < 0.05 and abs(rank - 0.5) < 0.04 and copies < 0.02
    near = train[GENERATOR.integers(500, size=300)] + 1e-3
    assert metrics.memorisation(near, train, held_out) == pytest.approx((0, 1, 1), abs=0.01)
    ratio, rank, copies = metrics.memorisation(fresh + 9, train, held_out)
    assert ratio > 3 and rank < 0.01 and copies == 0
    assert metrics.memorisation(held_out, train, held_out).rank == pytest.approx(0.5)


@pytest.mark.parametrize("dimension", [2, 8, 100])
def test_the_threshold_of_copies_is_the_nearest_hundredth_of_neighbours(dimension):
    """Of uniform points on a torus, whose neighbours follow the Weibull law. Mutation: 4.815 off by a tenth."""
    generator = np.random.default_rng(1)
    distances = generator.weibull(dimension, 100_000)
    share = np.mean(distances <= threshold(distances))
    assert abs(share - 0.01) < 0.002


@pytest.mark.parametrize("noise", [0, 1e-3])
@pytest.mark.parametrize("repeated", [0.0, 0.02, 0.2])
def test_copies_are_told_where_the_held_out_data_hold_copies_too(repeated, noise):
    """A copier has copies 1, one that copies every other time 1/2, and a sampler of the same law, repetitions included, 0.

    Mutations: the 1 % quantile as the threshold, < for <=, or the held-out share not taken away.
    """
    train, held_out, fresh = (GENERATOR.normal(size=(n, 8)) for n in (1000, 1000, 1000))
    for points in (held_out, fresh):
        count = int(repeated * 1000)
        points[:count] = train[:count] + noise * GENERATOR.normal(size=(count, 8))
    copied = train[GENERATOR.integers(1000, size=1000)] + noise * GENERATOR.normal(size=(1000, 8))
    half = np.concatenate([copied[::2], fresh[::2]])
    for samples, copies in ((copied, 1), (half, 0.5), (fresh, 0)):
        assert metrics.memorisation(samples, train, held_out).copies == pytest.approx(copies, abs=0.03)


def test_held_out_data_that_are_the_training_data_say_nothing():
    """0 / 0 is NaN, and no warning."""
    assert np.isnan(metrics.memorisation(X, X, X)[::2]).all()


@pytest.mark.parametrize("offset", [0, 1e6])
def test_kernel_distance_keeps_its_digits_far_from_the_origin(offset):
    """Against exact fractions; the plain cube loses all digits at 1e6. Mutation: 2 f + p + q without its 2."""
    x, y = np.round(X[:6], 2) + offset, np.round(Y[:5], 2) + offset

    def k(a, b):
        return (sum(Fraction(s) * Fraction(t) for s, t in zip(a, b, strict=True)) / 4 + 1) ** 3

    within = [sum(k(a, b) for i, a in enumerate(z) for b in z[:i]) * 2 / (len(z) * (len(z) - 1)) for z in (x, y)]
    wanted = sum(within) - 2 * sum(k(a, b) for a in x for b in y) / (len(x) * len(y))
    close(metrics.kernel_distance(x, y, jax.random.key(0)).mean, float(wanted), rtol=1e-7)


@pytest.mark.parametrize("offset", [0, 1e5])
def test_float32_samples_far_from_the_origin(offset):
    """Differences alone count, and in float64: equal sets, and the same numbers as at the origin (X, Y on a grid of 1/64).

    Mutation: squares of float32 numbers.
    """
    x, y = (np.round(points * 64).astype(np.float32) / 64 for points in (X, Y))
    close(
        metrics.frechet_distance(x + np.float32(offset), y + np.float32(offset)),
        metrics.frechet_distance(x, y),
        rtol=1e-7,
    )
    for spread in (np.eye(4, dtype=np.float32), np.eye(4, 30, dtype=np.float32)):
        a, b = x @ spread, y @ spread
        moved = [points + np.float32(offset) for points in (a, b)]
        close(metrics.prdc(*moved), metrics.prdc(a, b), rtol=1e-12)
        close(metrics.nearest(*moved), metrics.nearest(a, b), rtol=1e-12)
        close(metrics.memorisation(moved[0], moved[1], moved[0] + 1), metrics.memorisation(a, b, a + 1), rtol=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda: metrics.frechet_distance(X, X[:, :2]),
        lambda: metrics.frechet_distance(X[:1], X),
        lambda: metrics.frechet_distance(X * np.nan, X),
        lambda: metrics.kernel_distance(X, X[:, :2], jax.random.key(0)),
        lambda: metrics.kernel_distance(X, X, jax.random.key(0), block=1),
        lambda: metrics.nearest(X, X[:0]),
        lambda: metrics.memorisation(X[:0], X, X),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_impossible_samples_are_refused(make):
    with pytest.raises(ValueError, match="need"):
        make()
