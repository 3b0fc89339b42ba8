"""Sets of arrays on disk: .npz files, and .npy files as memory maps. Never a pickle, never more than the header says."""

from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from ddjax.data import npz as files
from ddjax.data.images import Images, Split, held_out


def npz(path: Path, split: Split = "train", *, every: int = 10, seed: int = 0) -> Images:
    """A set from a .npz file: `x` uint8 [n, h, w] or [n, h, w, c] and perhaps `labels`, whole numbers from 0.

    Args:
        every: one row in `every` belongs to the test; 0 if the file holds this split alone.
    Raises: ValueError for a file that is not such a set, is damaged, or would inflate beyond measure.
    """
    found = files.read(path)
    if "x" not in found:
        raise ValueError(f"{path} needs an array `x`, got {sorted(found)}")
    x, labels, classes = _set(found["x"], found.get("labels"), path)
    rows = held_out(np.zeros(len(x), int) if labels is None else labels, split, every=every, seed=seed)
    return Images(x[rows], None if labels is None else labels[rows], classes, split, path.stem)


def npy(path: Path, split: Split = "train", *, every: int = 10) -> Images:
    """A set from a .npy file, left on disk as a memory map; `labels.npy` beside it, if present, has its labels.

    Args:
        every: not 0 if the file is the whole set, which is then all for training: rows of a map stay where they are.
    Raises: ValueError for files that are not such a set or are damaged, or a test split that nothing was kept for.
    """
    if split == "test" and every:
        raise ValueError(
            f"{path} is one memory map: keep the test images in a file of their own, train/x.npy and test/x.npy"
        )
    beside = path.with_name("labels.npy")
    x, labels, classes = _set(files.mapped(path), np.array(files.mapped(beside)) if beside.is_file() else None, path)
    return Images(x, labels, classes, split, path.stem if path.stem != "x" else path.parent.name)


def _set(
    x: np.ndarray, labels: np.ndarray | None, path: Path
) -> tuple[UInt8[np.ndarray, "n h w c"], Int[np.ndarray, " n"] | None, tuple[str, ...]]:
    """Images, labels and class names, from arrays that may be anything."""
    if x.dtype != np.uint8 or x.ndim not in (3, 4) or 0 in x.shape:
        raise ValueError(f"{path}: x must be uint8 [n, h, w] or [n, h, w, c], got {x.dtype} {list(x.shape)}")
    if labels is not None and (labels.dtype.kind not in "iu" or labels.shape != x.shape[:1]):
        raise ValueError(f"{path}: labels must be whole numbers [{len(x)}], got {labels.dtype} {list(labels.shape)}")
    x = x[..., None] if x.ndim == 3 else x
    if labels is None:
        return x, None, ()
    if labels.min() < 0 or labels.max() >= len(x):
        raise ValueError(f"{path}: labels must lie in 0..{len(x) - 1}, got {labels.min()}..{labels.max()}")
    return x, labels.astype(np.int32), tuple(map(str, range(int(labels.max()) + 1)))
