"""Distances between labelled samples, whole, in blocks and class by class, as judges of a sweep."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from ddjax import metrics
from ddjax.inputs import checked_count, checked_key
from ddjax.judging.sweep import Judge
from ddjax.types import Batch, Key

Truth = Callable[[Key, int], Batch]


class Metric(NamedTuple):
    """A distance between samples, what its number means, and on how many points it is taken: all of them, or blocks."""

    title: str
    distance: Callable[[Batch, Batch], float]
    points: int | None = None


def on_points(distance: Callable[[Array, Array], Any]) -> Callable[[Batch, Batch], float]:
    """A distance between points, blind to their labels."""
    return lambda real, fake: float(distance(real.x_0, fake.x_0))


def class_mean(distance: Callable[[Array, Array], Any], classes: int) -> Callable[[Batch, Batch], float]:
    """Mean over classes of the distance within each, both sets in units of the whole real set."""

    def mean(real: Batch, fake: Batch) -> float:
        shift, scale = real.x_0.mean(0, keepdims=True), real.x_0.std(0, keepdims=True)
        real, fake = (batch._replace(x_0=(batch.x_0 - shift) / scale) for batch in (real, fake))
        parts = metrics.per_class(distance, *real, *fake, classes=classes)
        return float(np.mean([float(part) for part in parts]))

    return mean


def against(truth: Truth, chosen: dict[str, Metric], *, blocks: int = 1) -> Judge:
    """A judge: each metric to as many fresh true points, or its mean over at most `blocks` disjoint blocks of its own size."""
    blocks = checked_count(blocks, "blocks")

    def judge(fake: Batch, key: Key, steps: int) -> dict[str, float]:
        real = truth(key, len(fake.x_0))
        return {name: in_blocks(metric, real, fake, blocks) for name, metric in chosen.items()}

    return judge


def in_blocks(metric: Metric, real: Batch, fake: Batch, blocks: int) -> float:
    """The metric of whole samples, or its mean over disjoint blocks of its own size."""
    return float(np.mean(by_block(metric, real, fake, blocks)))


def by_block(metric: Metric, real: Batch, fake: Batch, blocks: int) -> list[float]:
    """The metric of each of at most so many disjoint blocks of its own size; of whole samples where it has none.

    Raises: ValueError for samples that do not fill one block: its value and its floor are of equal numbers.
    """
    points, n = metric.points, len(real.x_0)
    if points is None:
        return [metric.distance(real, fake)]
    if min(n, len(fake.x_0)) < points:
        raise ValueError(f"{metric.title}: a block has {points} points, got {n} real and {len(fake.x_0)} of a model")
    starts = range(0, min(blocks, n // points) * points, points)

    def cut(batch: Batch, start: int) -> Batch:
        return jax.tree.map(lambda a: a[start : start + points], batch)

    return [metric.distance(cut(real, start), cut(fake, start)) for start in starts]


def floors(truth: Truth, chosen: dict[str, Metric], key: Key, *, n: int, repeats: int) -> dict[str, metrics.Floor]:
    """Each metric between two fresh samples of the truth."""
    return {
        name: metrics.floor(
            metric.distance, truth, jax.random.clone(checked_key(key)), n=metric.points or n, repeats=repeats
        )
        for name, metric in chosen.items()
    }
