"""Labels of any kind as classes 0..k-1, each with a name and at least one image."""

import unicodedata
import warnings
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int32

from ddjax.data.names import several


def numbered(
    parts: Sequence[np.ndarray], sizes: Sequence[int], name: str, names: np.ndarray | None = None
) -> tuple[list[Int32[np.ndarray, " _"]], tuple[str, ...]]:
    """Labels of all splits of a set as 0..k-1 in the order of their values, which become the names of the classes.

    Args:
        parts: of each split, whole numbers not below 0 of any type, words, or one-hot rows; [n] or [n, 1].
        sizes: images of each split.
        names: of the classes 0, 1, ... in the file, where it has them.
    Raises: ValueError for anything else.
    """
    flat = [_flat(part, n, name) for part, n in zip(parts, sizes, strict=True)]
    if len({part.dtype.kind for part in flat}) > 1:
        raise ValueError(f"{name}: labels of all splits must be numbers, or words in all")
    values, index = np.unique(np.concatenate(flat), return_inverse=True)
    classes = tuple(str(value) for value in values)
    if names is not None and values.dtype.kind == "i":
        if names.ndim != 1 or names.dtype.kind != "U" or values[-1] >= len(names):
            raise ValueError(
                f"{name}: class names must be words [{values[-1] + 1}], got {names.dtype} {list(names.shape)}"
            )
        classes = tuple(str(names[value]) for value in values)
    return np.split(index.astype(np.int32), np.cumsum(sizes)[:-1]), classes


def warn_of_alike(classes: Sequence[str], name: str) -> None:
    """Warn of classes that are perhaps one: that differ by case, blanks or Unicode's ways to write a letter."""
    alike: dict[str, list[str]] = {}
    for of_class in classes:
        alike.setdefault("".join(unicodedata.normalize("NFKC", of_class).casefold().split()), []).append(of_class)
    if pairs := [" and ".join(map(repr, names)) for names in alike.values() if len(names) > 1]:
        warnings.warn(f"{name}: classes that differ by case or blanks alone: {several(pairs)}", stacklevel=2)


def warn_of_absent(classes: Sequence[str], train: np.ndarray, test: np.ndarray, name: str) -> None:
    """Warn of classes that one split has and the other has not, by the labels of both."""
    present = [set(np.unique(labels).tolist()) for labels in (train, test)]
    for here, there, split in zip(present, present[::-1], ("training", "test"), strict=True):
        if absent := [repr(classes[label]) for label in sorted(there - here)]:
            warnings.warn(f"{name}: classes without a {split} image: {several(absent)}", stacklevel=2)


def _flat(labels: np.ndarray, n: int, name: str) -> np.ndarray:
    """Labels [n] as int64 or words."""
    told = f"{name}: labels must be whole numbers or words [{n}], [{n}, 1], or one-hot rows; got {labels.dtype}"
    found = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if found.shape[:1] != (n,) or found.ndim not in (1, 2):
        raise ValueError(f"{told} {list(labels.shape)}")
    if found.dtype.kind == "S":
        found = np.char.decode(found, "utf-8", "replace")
    if found.dtype.kind == "U" and found.ndim == 1:
        return found
    if found.dtype.kind not in "biuf":
        raise ValueError(f"{told} {list(labels.shape)}")
    if found.dtype.kind == "f" and not (np.isfinite(found).all() and (found == np.round(found)).all()):
        raise ValueError(f"{told} that are not whole")
    if found.ndim == 2:
        if not (np.isin(found, (0, 1)).all() and (found.sum(1) == 1).all()):
            raise ValueError(f"{told} {list(labels.shape)}, which is not one class for each image")
        return found.argmax(1)
    if found.min() < 0 or found.max() > np.iinfo(np.int64).max / 2:
        raise ValueError(
            f"{name}: labels must not be negative or huge, got {found.min():g}..{found.max():g}; "
            "leave out images without a label"
        )
    return found.astype(np.int64)
