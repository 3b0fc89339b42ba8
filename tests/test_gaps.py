"""Gaps in features: sets of one size, what every distance sees, which blur to take, and spikes; on features that are known."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close
from scipy import stats

from ddjax import data, transport
from experiments.ot_loss import evaluate as gaps

SIDE = 4


def pictures(n, seed, split="train"):
    """Images of three classes: bright in one of three pixels, with noise on all."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n, dtype=np.int32) % 3
    x = rng.normal(128, 12, (n, SIDE, SIDE, 1))
    x[np.arange(n), 0, labels] += 90
    return data.Images(np.clip(x, 0, 255).astype(np.uint8), labels, ("a", "b", "c"), split, "squares")


def flat(x):
    return x.reshape(len(x), -1)


@pytest.fixture(scope="module")
def where():
    return gaps.space(flat, pictures(300, 0), pictures(120, 1, "test"), blur=0.3, largest=1000)


def test_all_sets_have_one_size_and_training_images_are_at_the_floor(where):
    """n of held-out images and of two disjoint parts; the baseline is between the transports of the parts of the training
    images, a shifted set counts as many baselines.

    Mutations: parts that overlap; the ratio to the halves of the training images; blur not in units of the median distance;
    the same part each time.
    """
    assert len(where.test) == len(where.train) == len(where.other) == where.n == 120
    rows = {np.asarray(point).tobytes() for part in (where.train, where.other) for point in part}
    assert len(rows) == 240
    apart = np.linalg.norm(np.asarray(where.test)[:, None] - np.asarray(where.test)[None], axis=-1)
    close(where.unit, np.median(apart[np.triu_indices(120, 1)]), rtol=1e-5)
    close(where.blur, 0.3 * where.unit, rtol=1e-6)
    off = [
        float(
            transport.sinkhorn_blocked(
                flat(data.to_float(jnp.asarray(train.x[rows[:120]]))), where.test, blur=where.blur
            )[0]
        )
        for train in [pictures(300, 0)]
        for rows in [data.subsets.order(train.labels, 300, seed=seed) for seed in range(gaps.PARTS)]
    ]
    close(where.baseline, stats.gmean(off), rtol=1e-5)
    assert np.std(off) > 0 and gaps.floors(where)["transport test"] == where.baseline
    floors = gaps.floors(where)
    close(
        floors["transport train"],
        transport.sinkhorn_blocked(where.train, where.other, blur=where.blur).divergence,
        rtol=1e-5,
    )
    shifted = gaps.trio(where.test + 0.5, where)
    close(shifted["transport test"], 0.5**2 * 16 / 2, rtol=1e-3)
    close(shifted["frechet test"], 0.5**2 * 16, rtol=1e-3)
    close(shifted["ratio"], shifted["transport test"] / where.baseline, rtol=1e-6)


def by_class(n, seed, split="train"):
    """Images sorted by class, as class folders are."""
    shuffled = pictures(n, seed, split)
    rows = np.argsort(shuffled.labels, kind="stable")
    return dataclasses.replace(shuffled, x=shuffled.x[rows], labels=shuffled.labels[rows])


def sampled(labels, seed):
    """Fresh images of these classes: what a perfect sampler draws."""
    rng = np.random.default_rng([seed, 7])
    x = rng.normal(128, 12, (len(labels), SIDE, SIDE, 1))
    x[np.arange(len(labels)), 0, labels] += 90
    return flat(data.to_float(jnp.asarray(np.clip(x, 0, 255).astype(np.uint8))))


@pytest.mark.parametrize("random_classes", [False, True])
def test_a_perfect_sampler_has_ratio_1_and_one_that_lost_classes_far_more(random_classes):
    """The geometric mean over 24 sets, sorted by class, is 1 within 2 standard errors, whether the classes of the samples
    are independent draws or in turns; samples of one class alone are 5 times worse in each. (Over 160
    sets the means are 0.97 +- 0.03 and 1.013 +- 0.008.)

    Mutations: the first held-out images (a collapsed sampler then has .1); classes in their proportions for samples that
    have theirs at random (2.1), and the other way round (.5).
    """
    ratios = []
    for seed in range(24):
        train, test = by_class(300, 300 + seed), by_class(240, 400 + seed, "test")
        where = gaps.space(flat, train, test, blur=0.3, largest=120, random_classes=random_classes)
        labels = np.random.default_rng(seed).integers(0, 3, where.n) if random_classes else np.arange(where.n) % 3
        ratios.append([gaps.trio(sampled(wanted, seed), where)["ratio"] for wanted in (labels, 0 * labels)])
    perfect, collapsed = np.log(ratios).T
    error = perfect.std(ddof=1) / np.sqrt(24)
    assert abs(perfect.mean()) < 2 * error and error < 0.15
    assert collapsed.min() > np.log(5)


def test_unequal_sizes_move_the_divergence_by_themselves():
    """Two fresh samples of one law: the divergence falls with their size, so sets of different sizes have different floors."""
    draw = lambda key, n: jax.random.normal(jax.random.key(key), (n, 16))  # noqa: E731
    few, many = (
        np.mean([transport.sinkhorn_blocked(draw(i, n), draw(100 + i, n), blur=1.5).divergence for i in range(4)])
        for n in (50, 200)
    )
    assert few > 1.5 * many


def test_every_distance_sees_what_is_missing_noisy_or_copied(where):
    """Rank correlations of -1, +1, -1, at a third of the median distance, and no copies seen from held-out images.

    Mutations: classes in turns for classes added; noise on the training side; shares that fall.
    """
    found = gaps.curves(where, pictures(300, 0), pictures(120, 1, "test"))
    seen = gaps.analysed(found, where)
    for name, curve in found.items():
        assert all(len(fake) == len(real) for fake, real in curve.pairs)
        if curve.sign:
            for metric in gaps.METRICS:
                assert curve.sign * gaps.spearman(curve.levels, seen[name][metric]) >= 0.9, (name, metric)
    copied = seen["overfitting, to training images"]["transport"]
    assert copied[-1] < 1e-3 * copied[0]
    held_out = seen["overfitting, to held-out images"]["transport"]
    assert min(held_out) > 100 * abs(copied[-1])


def test_a_large_blur_sees_the_means_alone(where):
    """S tends to |difference of means|^2 / 2, and the study says which share of S that is."""
    found = gaps.curves(where, pictures(300, 0), pictures(120, 1, "test"))
    small, wide, large = gaps.blur_study(found, where, (0.1, 20.0, 100.0))
    for name in ("coverage, by classes present", "fidelity, by noise"):
        close(large.divergence[name], large.limits[name], rtol=2e-2)
    assert small.by_means < 0.9 < wide.by_means  # at 100 float32 rounds S of two parts of one law away
    fake, real = where.test + 0.5, where.test
    close(gaps.by_means(fake, real), 2.0, rtol=1e-4)


def test_the_smallest_blur_that_converged_and_ranks_rightly_is_recommended():
    """Hand cases. Mutations: the largest; a curve without a sign asked for one; an unconverged one taken."""
    curves = {"down": gaps.Curve([0, 1], [], -1), "up": gaps.Curve([0, 1], [], 1), "none": gaps.Curve([0, 1], [], 0)}

    def row(blur, down, up, converged=1.0):
        told = dict(zip(curves, (down, up, 0.0), strict=True))
        return gaps.Blurred(blur, told, {}, {}, 0.0, converged)

    rows = [row(0.01, -1, 1, 0.9), row(0.1, -0.95, 0.89), row(0.3, -1, 0.95), row(1, -1, 1)]
    assert gaps.recommended(rows, curves) == 0.3
    assert gaps.recommended(rows[:2], curves) is None


@pytest.mark.parametrize(
    ("values", "worst"),
    [([], 1), ([1, 9], 1), ([2, 2, 8], 4), ([4, 2, 1, 1], 0.5), ([1] * 20 + [3], 3), ([9, 9] + [1] * 9 + [5], 5)],
)  # fmt: skip
def test_a_spike_is_measured_by_the_running_median(values, worst):
    """Of up to nine values before it: what lies further back is forgotten."""
    assert gaps.spike(values) == pytest.approx(worst)


def test_features_that_are_all_the_same_are_refused():
    """Before anything is trained. Mutation: no check, and a ratio of zeros."""
    train, test = pictures(60, 0), pictures(30, 1, "test")
    with pytest.raises(ValueError, match="features of squares are all the same"):
        gaps.space(lambda x: jnp.zeros((len(x), 3)), train, test, blur=0.3, largest=100)
    assert gaps.space(flat, train, test, blur=0.3, largest=20).n == 20
    assert (
        gaps.space(
            flat, dataclasses.replace(train, x=train.x[:20], labels=train.labels[:20]), test, blur=1.0, largest=100
        ).n
        == 10
    )
