"""Numbers of an image run, and samples to take them of."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ddjax import metrics
from ddjax.data import Folder, Images, subsets, to_float, to_uint8
from ddjax.metrics.memorisation import compared
from ddjax.types import Batch, Key

Features = Callable[[Array], np.ndarray]  # images [n, h, w, c] in [-1, 1] -> [n, d]

K = 5  # nearest neighbours of precision, recall, density and coverage
CHUNK = 500  # samples drawn at a time: the bound on memory


class Space(NamedTuple):
    """A space in which samples are compared, with the training and held-out sets in it.

    fresh: distances of the held-out images to their nearest training images.
    """

    name: str
    features: Features
    train: np.ndarray
    test: np.ndarray
    fresh: np.ndarray


class Judges(NamedTuple):
    """All that a sample is measured by: distances in spaces, a classifier, and FID where its weights are at hand."""

    spaces: list[Space]
    classify: Callable[[Array], np.ndarray] | None = None
    fid: tuple[Features, metrics.Statistics] | None = None  # Inception features, those of the training set


def space(name: str, features: Features, train: Images, test: Images) -> Space:
    """Both splits of a data set in a space."""
    seen, held_out = (by_chunks(features, images.x) for images in (train, test))
    return Space(name, features, seen, held_out, metrics.nearest(held_out, seen)[1])


def by_chunks(features: Features, x: np.ndarray) -> np.ndarray:
    """Features of uint8 images."""
    return np.concatenate([features(to_float(jnp.asarray(x[i : i + CHUNK]))) for i in range(0, len(x), CHUNK)])


def pixels(x: Array) -> np.ndarray:
    """The images themselves, as vectors."""
    return np.asarray(x).reshape(len(x), -1)


def labels_like(images: Images | Folder, key: Key, n: int) -> np.ndarray | None:
    """Labels of samples: drawn from those of the training set."""
    if images.labels is None:
        return None
    return images.labels[np.asarray(jax.random.randint(key, (n,), 0, len(images.labels)))]


def judge(drawn: Batch, judges: Judges) -> dict[str, float]:
    """Every number of one sample: against the held-out set, and FID as it is used, against the training set."""
    found = {}
    for where in judges.spaces:
        fake = in_chunks(where.features, drawn.x_0)
        found |= against_test(where, fake)
        own = metrics.nearest(fake, where.train)[1]
        found[f"memorisation {where.name}"] = compared(own, where.fresh).ratio
    if judges.classify is not None and drawn.cond is not None:
        found["class accuracy"] = float(np.mean(judges.classify(drawn.x_0) == drawn.cond))
    if judges.fid is not None:
        features, reference = judges.fid
        # as bytes, which is what the published statistics were taken of
        found["FID"] = metrics.frechet_distance(reference, by_chunks(features, np.asarray(to_uint8(drawn.x_0))))
    return found


def floors(judges: Judges, train: Images, test: Images, samples: int) -> dict[str, float]:
    """So many training images in the place of the samples; for accuracy, memorisation and FID the held-out images themselves.

    Their classes are independent draws, as those of the samples are (`labels_like`).
    """
    rows = subsets.with_random_classes(train.labels, len(train), samples)
    found = {}
    for where in judges.spaces:
        found |= against_test(where, where.train[rows])
        found[f"memorisation {where.name}"] = 1.0  # fresh data, by its definition
    if judges.classify is not None:
        found["class accuracy"] = float(np.mean(by_chunks(judges.classify, test.x) == test.labels))
    if judges.fid is not None:
        found["FID"] = metrics.frechet_distance(judges.fid[1], by_chunks(judges.fid[0], test.x))
    return found


def in_chunks(features: Features, x: Array) -> np.ndarray:
    """Features of images in [-1, 1]."""
    return np.concatenate([features(x[i : i + CHUNK]) for i in range(0, len(x), CHUNK)])


def against_test(where: Space, fake: np.ndarray) -> dict[str, float]:
    """The distances of one space."""
    found = {"frechet": metrics.frechet_distance(where.test, fake)}
    found["kernel distance"] = float(metrics.kernel_distance(where.test, fake, jax.random.key(0)).mean)
    found |= metrics.prdc(where.test, fake, k=K)._asdict()
    return {f"{name} {where.name}": value for name, value in found.items()}
