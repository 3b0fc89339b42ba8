"""Parts of a data set that stand for the whole, whatever its order: files come sorted by class, by writer or by day.

A metric between a part and samples moves with the classes that the part happens to have, so that both sides of a comparison
must have their classes from the same law:

    order                 fixed: every beginning has the classes in the proportions of the set, each to within about one row
    with_random_classes   random: the classes of the rows are independent draws from those proportions
"""

import numpy as np
from jaxtyping import Int, Int32

from ddjax.data.folders import Folder
from ddjax.data.images import Images
from ddjax.inputs import checked_count

Labels = Int32[np.ndarray, " n"] | None


def order(labels: Labels, n: int, *, seed: int = 0) -> Int[np.ndarray, " n"]:
    """All n rows in a random order, each beginning of which is stratified by class; a plain permutation without labels."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(n)
    if labels is None:
        return rows
    _, index, count = np.unique(labels[rows], return_inverse=True, return_counts=True)
    first = (
        np.cumsum(count) - count
    )  # row j of a class of c rows comes at the time (j + u) / c, u uniform for each class
    turn = np.arange(n) - np.repeat(first, count)
    time = (turn + np.repeat(rng.random(len(count)), count)) / np.repeat(count, count)
    return rows[np.argsort(index, kind="stable")[np.argsort(time)]]


def with_random_classes(labels: Labels, n: int, size: int, *, seed: int = 0) -> Int[np.ndarray, " size"]:
    """`size` different rows of n, in a random order, whose classes are independent draws from those of the set.

    All rows, in their own order, where there are no more. A class of which more rows are drawn than there are gives all of
    its rows, and rows of other classes take the place of what is missing.
    """
    if size >= n:
        return np.arange(n)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(n)
    if labels is None:
        return shuffled[:size]
    wanted, rows = labels[rng.integers(0, n, size)], np.full(size, -1)
    for label in np.unique(wanted):
        places, there = np.flatnonzero(wanted == label), shuffled[labels[shuffled] == label]
        rows[places[: len(there)]] = there[: len(places)]
    missing = rows < 0
    rows[missing] = shuffled[~np.isin(shuffled, rows)][: missing.sum()]
    return rows


def in_turns(labels: Int32[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """All rows with their classes in turns, for pictures; the rows of a class keep their order."""
    turn = np.empty(len(labels), int)
    for label in np.unique(labels):
        turn[labels == label] = np.arange(np.sum(labels == label))
    return np.lexsort((labels, turn))


def part(images: Images | Folder, most: int, *, seed: int = 0) -> Images:
    """At most so many images, the first in `order`; a set in memory that has no more is returned as it is.

    Raises: ValueError for `most` below 1.
    """
    most = checked_count(most, "most")
    if most >= len(images) and isinstance(images, Images):
        return images
    x, labels = images.take(order(images.labels, len(images), seed=seed)[:most])
    return Images(x, labels, images.classes, images.split, images.name, flip=images.flip)


def labels_like(labels: Int32[np.ndarray, " n"], size: int, *, seed: int = 0) -> Int32[np.ndarray, " size"]:
    """Labels for `size` samples in the proportions of the set, those of the rows of `part` where it has as many."""
    rows = order(labels, len(labels), seed=seed)
    return labels[rows[np.arange(size) % len(labels)]]
