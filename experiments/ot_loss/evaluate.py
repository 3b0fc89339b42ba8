"""How far images are from other images in the features of a classifier: by transport, by Gaussians, by a kernel.

Every set has the same number n of images: all three distances are biased in n, so that unequal sizes move a ratio by themselves.
So do classes: the training images behind the baseline have theirs from the same law as the samples that it is for.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ddjax import metrics, scoring, transport
from ddjax.data import Images, subsets, to_float
from ddjax.objectives.transports import median_distance

METRICS = ("transport", "frechet", "mmd")
LEAST = 0.9  # rank correlation that a blur must show on every curve
PARTS = 8  # of the training images behind the baseline, of which one alone is off by a fifth where classes are random
Features = Callable[[Array], Array]
Points = Float[Array, "n d"]


class Space(NamedTuple):
    """Held-out images and two disjoint parts of the training images, n of each, as features.

    unit: median distance between held-out images. blur: that transport is measured at.
    baseline: transport from training to held-out images, the geometric mean over PARTS parts, of which `train` is the first.
    labels: classes [n] of `train`, which samples of a model with classes are drawn with.
    """

    features: Features
    test: Points
    train: Points
    other: Points
    unit: float
    blur: float
    baseline: float
    labels: np.ndarray | None

    @property
    def n(self) -> int:
        """Images in a set."""
        return len(self.test)


def space(
    features: Features, train: Images, test: Images, *, blur: float, largest: int, random_classes: bool = False
) -> Space:
    """Both splits in features, measured at a blur in units of the median distance, in sets of at most `largest` images.

    Held-out images have their classes in the proportions of their set.

    Args:
        random_classes: whether classes of training images are independent draws, as those of samples of a model without
            classes are, or in the proportions of their set.
    Raises: ValueError for features that say nothing, being all the same.
    """
    n = min(len(test), len(train) // 2, largest)
    parts = [_rows(train, 2 * n, random_classes, i) for i in range(PARTS)]
    rows, others = parts[0][:n], parts[0][n:]
    held_out, seen, other = (
        of(features, images.x[some]) for images, some in ((test, _shuffled(test)[:n]), (train, rows), (train, others))
    )
    unit = float(median_distance(held_out))
    if not unit > 0 or not float(jnp.max(jnp.std(held_out, 0))) > 0:
        raise ValueError(f"the features of {test.name} are all the same, so that nothing can be measured in them")
    apart = [
        float(transport.sinkhorn_blocked(of(features, train.x[part[:n]]), held_out, blur=blur * unit).divergence)
        for part in parts
    ]
    baseline = float(np.exp(np.mean(np.log(apart))))
    labels = None if train.labels is None else train.labels[rows]
    return Space(features, held_out, seen, other, unit, blur * unit, baseline, labels)


def _shuffled(images: Images) -> np.ndarray:
    return subsets.order(images.labels, len(images))


def _rows(images: Images, size: int, random_classes: bool, part: int) -> np.ndarray:
    if not random_classes:
        return subsets.order(images.labels, len(images), seed=part)[:size]
    seed = int(images.digest[:8], 16) + part  # always the same for a set, and independent of those of other images
    return subsets.with_random_classes(images.labels, len(images), size, seed=seed)


def of(features: Features, x: np.ndarray, chunk: int = 500) -> Points:
    """Features of images, bytes or numbers in [-1, 1]."""
    pieces = (jnp.asarray(x[i : i + chunk]) for i in range(0, len(x), chunk))
    return jnp.concatenate([features(to_float(piece) if piece.dtype == jnp.uint8 else piece) for piece in pieces])


def gap(fake: Points, real: Points, where: Space) -> dict[str, float]:
    """The three distances, and whether Sinkhorn's iterations converged."""
    found = transport.sinkhorn_blocked(fake, real, blur=where.blur)
    return {
        "transport": float(found.divergence),
        "frechet": metrics.frechet_distance(fake, real),
        "mmd": float(metrics.mmd(fake, real, kernel=scoring.rbf(jnp.asarray(where.unit)))),
        "converged": float(found.converged),
    }


def floors(where: Space) -> dict[str, float]:
    """The training images in the place of generated ones, the baseline for their transport; and of the other half of them."""
    baseline, halves = gap(where.train, where.test, where), gap(where.train, where.other, where)
    return named(baseline, "test") | named(halves, "train") | {"transport test": where.baseline, "ratio": 1.0}


def trio(fake: Points, where: Space) -> dict[str, float]:
    """n generated images against held-out and training ones, and the ratio to the baseline."""
    found = named(gap(fake, where.test, where), "test") | named(gap(fake, where.train, where), "train")
    return found | {"ratio": found["transport test"] / where.baseline}


def named(found: dict[str, float], against: str) -> dict[str, float]:
    """The distances under names that say against what."""
    return {f"{name} {against}": value for name, value in found.items()}


class Curve(NamedTuple):
    """Pairs of sets that differ more, or less, from level to level; `sign` is that of the rank correlation to expect."""

    levels: Sequence[float]
    pairs: Sequence[tuple[Points, Points]]
    sign: int


def curves(where: Space, train: Images, test: Images) -> dict[str, Curve]:
    """Real images spoilt by degrees: classes that are missing, noise, and training images passed off as new ones."""
    n, rng = where.n, np.random.default_rng(1)
    by_class = [rng.permutation(np.flatnonzero(train.labels == label)) for label in range(len(train.classes))]
    few = min(n, *map(len, by_class))
    kinds = range(1, len(by_class) + 1)
    some = [np.stack([rows[:few] for rows in by_class[:k]], 1).reshape(-1)[:few] for k in kinds]
    seen = [(of(where.features, train.x[rows]), where.test[:few]) for rows in some]
    noise, levels = rng.normal(size=(n, *test.shape)), np.linspace(0, 1, 9)
    clean = np.asarray(to_float(jnp.asarray(test.x[_shuffled(test)[:n]])))  # the images of where.test
    spoilt = [(of(where.features, (clean + s * noise).astype(np.float32)), where.train) for s in levels]
    half = n // 2
    copied = [jnp.concatenate([where.train[: round(s * half)], where.test[round(s * half) : half]]) for s in levels]
    return {
        "coverage, by classes present": Curve([*kinds], seen, -1),
        "fidelity, by noise": Curve(levels, spoilt, 1),
        "overfitting, to training images": Curve(levels, [(fake, where.train[:half]) for fake in copied], -1),
        "overfitting, to held-out images": Curve(levels, [(fake, where.test[half : 2 * half]) for fake in copied], 0),
    }


def spearman(levels: Sequence[float], values: Sequence[float]) -> float:
    """The rank correlation of a curve."""
    from scipy import stats

    return float(stats.spearmanr(levels, values).statistic)  # pyright: ignore[reportAttributeAccessIssue]


def analysed(found: dict[str, Curve], where: Space) -> dict[str, dict[str, list[float]]]:
    """Each distance along each curve."""
    told = {name: [gap(*pair, where) for pair in curve.pairs] for name, curve in found.items()}
    return {name: {metric: [at[metric] for at in values] for metric in METRICS} for name, values in told.items()}


class Blurred(NamedTuple):
    """A blur in units of the median distance: what it sees, what it costs, and how much of that the means alone would show.

    By curve: its rank correlation, the divergence of its worst pair, and what that tends to as the blur grows.
    """

    blur: float
    correlations: dict[str, float]
    divergence: dict[str, float]
    limits: dict[str, float]
    seconds: float
    converged: float

    @property
    def by_means(self) -> float:
        """The share of the divergence that the means explain, on average over curves."""
        return float(np.mean([self.limits[name] / self.divergence[name] for name in self.limits]))


def blur_study(found: dict[str, Curve], where: Space, blurs: Sequence[float]) -> list[Blurred]:
    """The transport distance along every curve at every blur."""
    return [_blurred(found, where, blur) for blur in blurs]


def _blurred(found: dict[str, Curve], where: Space, blur: float) -> Blurred:
    values, seconds, converged = {}, [], []
    for name, curve in found.items():
        values[name] = []
        for fake, real in curve.pairs:
            began = time.perf_counter()
            told = transport.sinkhorn_blocked(fake, real, blur=jnp.asarray(blur * where.unit))
            values[name].append(float(told.divergence))
            seconds.append(time.perf_counter() - began)
            converged.append(float(told.converged))
    worst = {name: int(np.argmax(values[name])) for name in found}
    return Blurred(
        blur,
        {name: spearman(curve.levels, values[name]) for name, curve in found.items()},
        {name: values[name][worst[name]] for name in found},
        {name: by_means(*curve.pairs[worst[name]]) for name, curve in found.items()},
        float(np.median(seconds)),
        float(np.mean(converged)),
    )


def by_means(fake: Points, real: Points) -> float:
    """|mean difference|^2 / 2, what the divergence tends to as the blur grows."""
    return float(jnp.sum((fake.mean(0) - real.mean(0)) ** 2) / 2)


def recommended(rows: Sequence[Blurred], found: dict[str, Curve]) -> float | None:
    """The smallest blur that always converged and ranks every curve rightly: smaller ones see more than the means do."""

    def sees(row: Blurred) -> bool:
        signed = [curve.sign * row.correlations[name] for name, curve in found.items() if curve.sign]
        return row.converged == 1 and min(signed) >= LEAST

    return min((row.blur for row in rows if sees(row)), default=None)


def spike(values: Sequence[float], window: int = 9) -> float:
    """The largest ratio of a value to the median of up to `window` values before it; 1 for fewer than 3."""
    ratios = [values[i] / np.median(values[max(0, i - window) : i]) for i in range(2, len(values))]
    return float(max(ratios, default=1.0))
