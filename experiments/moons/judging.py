"""Numbers of the two-moons page: what is measured, on how many points, and the floor of each.

The real set is balanced, half of its points on each moon, as scikit-learn draws it. A model's samples are not: even the
exact sampler puts a binomial number of points on each moon. The row "exact sampler" shows what that alone costs.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ddjax import metrics, transport
from ddjax.data import toys
from ddjax.metrics import reference
from ddjax.types import Batch, Key
from experiments.moons.models import CLASSES

EXACT = "exact sampler"
BLOCK = 1000  # points of the distances whose floor the page quotes


class Metric(NamedTuple):
    """A distance between labelled samples, the points it takes, and what its number means."""

    title: str
    points: int | None  # None: all of them
    distance: Callable[[Batch, Batch], float]


def _on_points(distance: Callable[[Array, Array], Any]) -> Callable[[Batch, Batch], float]:
    return lambda real, fake: float(distance(real.x_0, fake.x_0))


def _class_mean(distance: Callable[[Array, Array], Any]) -> Callable[[Batch, Batch], float]:
    """Mean over classes of the distance within each; both sets in units of the whole real set, as for W_1 of all."""

    def mean(real: Batch, fake: Batch) -> float:
        shift, scale = real.x_0.mean(0, keepdims=True), real.x_0.std(0, keepdims=True)
        real, fake = (batch._replace(x_0=(batch.x_0 - shift) / scale) for batch in (real, fake))
        parts = metrics.per_class(distance, *real, *fake, classes=CLASSES)
        return float(np.mean([float(part) for part in parts]))

    return mean


_sinkhorn_cost = jax.jit(lambda real, fake: reference.sinkhorn_cost(real, fake).cost)
_class_w1 = _class_mean(lambda real, fake: metrics.wasserstein(real, fake, p=1.0))
_wasserstein = _on_points(reference.wasserstein_1)

FEW_STEP = {
    "w1": Metric("W₁, coordinates standardised by the real set, n = 1,000", BLOCK, _wasserstein),
    "mmd2": Metric(
        "MMD², Gaussian kernel of bandwidth 1, U-statistic (may be negative)", None, _on_points(metrics.mmd)
    ),
    "coverage": Metric("coverage, k = 5 (truth: about .97)", None, _on_points(reference.coverage)),
    "density": Metric("density, k = 5 (truth: 1)", None, _on_points(reference.density)),
}
PER_CLASS = {
    "class_w1": Metric("W₁ within each class, mean over classes, n = 500 for each", BLOCK, _class_w1),
    "class_mmd2": Metric("MMD² within each class, U-statistic, mean over classes", None, _class_mean(metrics.mmd)),
    "class_coverage": Metric("coverage within each class, k = 5, mean over classes", None, _class_mean(reference.coverage)),
}  # fmt: skip


def _divergence(real: Array, fake: Array) -> Array:
    return transport.sinkhorn_blocked(real, fake, blur=0.1).divergence  # here five times faster than ott's, and equal


def _prdc(name: str) -> Callable[[Batch, Batch], float]:
    return lambda real, fake: getattr(metrics.prdc(real.x_0, fake.x_0, k=5), name)


_nll = _on_points(lambda real, fake: metrics.kde_nll(real, fake, bandwidth=0.1))

AT_THE_END = {
    "precision": Metric("precision, k = 5", None, _prdc("precision")),
    "recall": Metric("recall, k = 5", None, _prdc("recall")),
    "kde_nll": Metric("KDE negative log-likelihood, bandwidth .1, nats", None, _nll),
    "sinkhorn": Metric("Sinkhorn divergence, cost |x - y|²/2, blur .1, n = 1,000", BLOCK, _on_points(_divergence)),
    "mmd_v": Metric("MMD², gamma = 1, V-statistic (biased), n = 1,000", BLOCK, _on_points(reference.mmd_v)),
    "sinkhorn_cost": Metric("Sinkhorn cost, regularisation .1 (biased), n = 1,000", BLOCK, _on_points(_sinkhorn_cost)),
}
WATCHED = {
    "w1": FEW_STEP["w1"],
    "mmd_v": AT_THE_END["mmd_v"],
    "sinkhorn_cost": AT_THE_END["sinkhorn_cost"],
    "coverage": FEW_STEP["coverage"]._replace(points=BLOCK),
    "density": FEW_STEP["density"]._replace(points=BLOCK),
}


def truth(key: Key, n: int, *, noise: float) -> Batch:
    """The real set: iid angles, half of the points on each moon, in turns (so that every block is balanced)."""
    points, labels = toys.two_moons(key, n - n % CLASSES, noise=noise)
    turns = jnp.argsort(labels).reshape(CLASSES, -1).T.reshape(-1)
    return Batch(points[turns], labels[turns])


def exact_sampler(key: Key, n: int, *, noise: float) -> Batch:
    """The law itself, each point on either moon by the toss of a coin."""
    key_pool, key_coin = jax.random.split(key)
    pool, labels = toys.two_moons(key_pool, 2 * n, noise=noise)
    by_class = pool[jnp.argsort(labels)].reshape(CLASSES, n, 2)
    tossed = jax.random.randint(key_coin, (n,), 0, CLASSES)
    return Batch(by_class[tossed, jnp.arange(n)], tossed)


def judge(metric: Metric, real: Batch, fake: Batch, blocks: int) -> float:
    """The metric of whole samples, or its mean over `blocks` disjoint blocks of its own size."""
    if metric.points is None:
        return metric.distance(real, fake)
    starts = range(0, min(blocks * metric.points, len(real.x_0)), metric.points)
    cut = lambda batch, start: jax.tree.map(lambda a: a[start : start + metric.points], batch)  # noqa: E731
    return float(np.mean([metric.distance(cut(real, start), cut(fake, start)) for start in starts]))


def floors(chosen: dict[str, Metric], key: Key, n: int, *, noise: float, repeats: int) -> dict[str, metrics.Floor]:
    """Each metric between two fresh balanced samples of the truth."""
    return {
        name: metrics.floor(
            metric.distance,
            lambda key, n: truth(key, n, noise=noise),
            jax.random.clone(key),
            n=metric.points or n,
            repeats=repeats,
        )
        for name, metric in chosen.items()
    }
