"""Guided samples of a conditional image model: how often they are their class, how near the data, how different from each other.

With features f of a classifier, and c one of the classes,

    (1)  accuracy   share of samples that the classifier takes for their class
    (2)  diversity  mean over c of tr cov f(samples of c) / tr cov f(held-out images of c): 1 for the law of the data
    (3)  frechet    Frechet distance of f(samples) and f(held-out images)
    (4)  recall     share of held-out images that lie among the samples, in features

A guidance of w > 1 leaves the law of the data: no weight is right, a weight is chosen by what it buys and what it costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ddjax import denoisers, metrics, paths, samplers, times
from ddjax.data import Images, subsets
from ddjax.training.progress import progress
from experiments.common.images import evaluate as judging

Interval = tuple[float, float]
FULL: Interval = (0.0, 1.0)
ONE, TWO = "one xi", "two xi"  # for the branches with and without the class


class How(NamedTuple):
    """One way to guide: by which weight, at which times, one xi for both branches or one for each, in how many steps."""

    weight: float
    steps: int
    shared_xi: bool = True
    interval: Interval = FULL


class Judged(NamedTuple):
    """Eq. (1) to (4)."""

    accuracy: float
    diversity: float
    frechet: float
    recall: float


class Row(NamedTuple):
    """A kind of guidance by its name, its settings, and what came of it."""

    kind: str
    how: How
    judged: Judged


def drawn(trained: Any, how: How, labels: np.ndarray, *, seed: int = 2026) -> Array:
    """A sample of each of these classes, clipped to the range of images; the same noise whatever the weight."""
    schedule, predictor = trained.recipe.noise_schedule(), trained.recipe.predictor()
    event, null = trained.recipe.event_shape, trained.recipe.classes

    @jax.jit
    def draw(params: Any, key: Any, cond: Array, weight: Array) -> Array:
        key_prior, key_steps = jax.random.split(key)
        guided = denoisers.guided(predictor, weight, null=null, interval=how.interval, shared_xi=how.shared_xi)
        step = samplers.bridge(denoisers.bind(guided, params, cond), schedule)
        x_1 = paths.prior(schedule, key_prior, (len(cond), *event))
        return jnp.clip(samplers.sample(step, key_steps, x_1, times.grid(how.steps)), -1, 1)

    weight, parts = jnp.asarray(how.weight), range(0, len(labels), judging.CHUNK)
    keys = jax.random.split(jax.random.key(seed), len(parts))
    x = [
        draw(trained.params, key, jnp.asarray(labels[i : i + judging.CHUNK]), weight)
        for key, i in zip(keys, parts, strict=True)
    ]
    return jnp.concatenate(x)


def judged(x: Array, labels: np.ndarray, judges: judging.Judges, held_out: np.ndarray) -> Judged:
    """Eq. (1) to (4) of samples; `held_out` are the classes of the held-out images of `judges`."""
    where = judges.spaces[1]
    features = judging.in_chunks(where.features, x)
    accuracy = float(np.mean(judging.in_chunks(judges.classify, x) == labels))  # pyright: ignore[reportArgumentType]
    spread = diversity(features, labels, where.test, held_out)
    frechet = metrics.frechet_distance(where.test, features)
    return Judged(accuracy, spread, frechet, metrics.prdc(where.test, features, k=judging.K).recall)


def judged_ways(trained: Any, asked: Any, judges: judging.Judges, train: Images, held_out: Images) -> list[Row]:
    """Every way to guide that is asked for: weights, numbers of steps `nfe`, interval and number of `samples`.

    The samples have the classes of the training images in their proportions, as the floor has.
    """
    labels = subsets.labels_like(train.labels, asked.samples)
    every = ways(asked.weights, asked.nfe, asked.interval)
    found = []
    with progress(len(every), label="guiding", unit="ways") as update:
        for kind, how in every:
            x = drawn(trained, how, labels)
            found.append(Row(kind, how, judged(x, labels, judges, held_out.labels)))  # pyright: ignore[reportArgumentType]
            update(len(found), {"w": how.weight, "steps": float(how.steps)})
    return found


def diversity(features: np.ndarray, labels: np.ndarray, real: np.ndarray, classes: np.ndarray) -> float:
    """Eq. (2), over classes that both have twice."""
    spread = lambda points: points.var(0, ddof=1).sum()  # noqa: E731
    both = [c for c in np.unique(classes) if min(np.sum(labels == c), np.sum(classes == c)) > 1]
    return float(np.mean([spread(features[labels == c]) / spread(real[classes == c]) for c in both]))


def ways(weights: Sequence[float], steps: Sequence[int], interval: Interval) -> list[tuple[str, How]]:
    """Kinds of guidance, each at every weight and number of steps; a weight of 1 is the condition, of no kind."""
    kinds = {ONE: {}, TWO: {"shared_xi": False}, f"t in [{interval[0]:g}, {interval[1]:g}]": {"interval": interval}}
    return [
        (kind, How(w, n, **told))
        for kind, told in kinds.items()
        for w in weights
        for n in steps
        if w != 1 or kind == ONE
    ]
