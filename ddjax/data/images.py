"""Image sets: one value for all sources, uint8 on the host; batches of floats in [-1, 1] are cut on the device.

x = pixel / 127.5 - 1                                   (A)
pixel = round(127.5 (x + 1)), clipped to 0..255          (B)   exact inverse of (A) on 0..255
"""

import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int, Int32, UInt8

from ddjax.data import bounds
from ddjax.data.labels import warn_of_absent
from ddjax.data.pixels import Scaled, some_rows
from ddjax.inputs import checked_count, checked_key
from ddjax.types import Batch, Key

Split = Literal["train", "test"]
EVERY = 10  # one image in so many is held out, unless told otherwise


@dataclass(frozen=True, eq=False)
class Images:
    """One split of a set of images of one size.

    Args:
        x: pixels, in memory, memory mapped, or made of numbers on disk where they are read.
        labels: classes as 0..k-1, or None. classes: their k names.
        name: where the images come from. flip: whether a mirror image is an image of the same law.
        attribution: what the licence of the images asks to print. notes: how the images were read, a phrase each.
    Raises: ValueError for arrays that are not such a set.
    """

    x: UInt8[np.ndarray, "n h w c"] | Scaled
    labels: Int32[np.ndarray, " n"] | None
    classes: tuple[str, ...]
    split: Split
    name: str
    flip: bool = False
    attribution: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        if self.x.dtype != np.uint8 or self.x.ndim != 4 or 0 in self.x.shape:
            raise ValueError(f"{self.name}: images are uint8 [n, h, w, c], got {self.x.dtype} {list(self.x.shape)}")
        if self.labels is None and self.classes:
            raise ValueError(f"{self.name}: images without labels have no classes, got {len(self.classes)}")
        if self.labels is not None:
            require_labels(self.labels, len(self.x), len(self.classes), self.name)

    @functools.cached_property
    def digest(self) -> str:
        """sha256 of shape, labels and pixels, as hexadecimal: of some images where they fill more than `bounds.LARGEST`."""
        labels = b"none" if self.labels is None else self.labels.astype("<i4").tobytes()
        content = hashlib.sha256(repr(self.x.shape).encode() + labels)
        for piece in (self.x[some_rows(self.x)],) if self.nbytes > bounds.LARGEST else _pieces(self.x):
            content.update(np.ascontiguousarray(piece))
        return content.hexdigest()

    def __len__(self) -> int:
        return len(self.x)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of each image."""
        return self.x.shape[1:]

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels."""
        return self.x.nbytes

    def take(self, rows: Int[np.ndarray, " k"]) -> tuple[UInt8[np.ndarray, "k h w c"], Int32[np.ndarray, " k"] | None]:
        """Copies of some images, and their labels."""
        return np.asarray(self.x[rows]), None if self.labels is None else self.labels[rows]

    def describe(self) -> str:
        """One line: what was found."""
        flip = "mirrored at random" if self.flip else "never mirrored"
        part = f" of {len(some_rows(self.x)):,} of them" if self.nbytes > bounds.LARGEST else ""
        return "; ".join((f"{described(self)}, {flip}, sha256{part} {self.digest[:16]}", *self.notes))


def described(source: Any) -> str:
    """Name, split, number, shape and classes of a set, in memory or not."""
    h, w, c = source.shape
    classes = "no labels" if source.labels is None else f"{len(source.classes)} classes"
    return f"{source.name} {source.split}: {len(source):,} images {h} x {w} x {c}, {classes}"


def require_labels(labels: np.ndarray, n: int, k: int, name: str) -> None:
    """Raises: ValueError unless there is one label in 0..k-1 for each of the n images."""
    if labels.shape != (n,):
        raise ValueError(f"{name}: {n} images need as many labels, got {list(labels.shape)}")
    if labels.min() < 0 or labels.max() >= k:
        raise ValueError(f"{name}: labels must lie in 0..{k - 1}, got {labels.min()}..{labels.max()}")


def _pieces(x: np.ndarray | Scaled, rows: int = 4096) -> Iterator[np.ndarray]:
    return (x[i : i + rows] for i in range(0, len(x), rows))


def held_out(labels: np.ndarray, split: Split, *, every: int, seed: int) -> Int[np.ndarray, " k"]:
    """Rows of a split where a set has none of its own: one row in `every` is kept for the test, in all classes alike.

    The only row of a class is never kept. With `every` 0 all rows belong to the split.
    """
    if every == 0:
        return np.arange(len(labels))
    shuffle = np.random.default_rng(seed).permutation(len(labels))
    order = shuffle[np.argsort(labels[shuffle], kind="stable")]
    test = np.zeros(len(labels), bool)
    test[order[::every]] = True
    _, index, count = np.unique(labels, return_inverse=True, return_counts=True)
    test &= count[index] > 1
    return np.flatnonzero(test if split == "test" else ~test)


def divided(
    labels: np.ndarray | None,
    n: int,
    split: Split,
    *,
    every: int | None,
    seed: int,
    name: str,
    classes: Sequence[str] = (),
) -> tuple[Int[np.ndarray, " k"], str]:
    """Rows of a split of n images that have none of their own, and a phrase that says so.

    Args:
        every: one image in so many is held out; None for one in 10. classes: names of the labels.
    Raises: ValueError where nothing would be left.
    """
    every = EVERY if every is None else every
    if every < 2:
        raise ValueError(f"one image in 2 or more can be held out, got every={every}")
    numbers = np.zeros(n, int) if labels is None else labels
    train, test = (held_out(numbers, part, every=every, seed=seed) for part in ("train", "test"))
    rows = test if split == "test" else train
    if not len(rows):
        raise ValueError(f"{name} has {n} images, too few to keep one in {every} for the test")
    if classes:
        warn_of_absent(classes, numbers[train], numbers[test], name)
    return rows, f"no split of its own: one in {every} is held out (seed {seed})"


def require_no_share(every: int | None, name: Any) -> None:
    """Raises: ValueError for a share to hold out of a set that has its own test images."""
    if every:
        raise ValueError(f"every={every} has no effect: {name} has test images of its own")


def to_float(x: UInt8[Array, "..."]) -> Float[Array, "..."]:
    """Equation (A): pixels 0..255 as float32 in [-1, 1]."""
    return x.astype(jnp.float32) / 127.5 - 1


def to_uint8(x: Float[Array, "..."]) -> UInt8[Array, "..."]:
    """Equation (B): floats as pixels, rounded, and clipped where they leave [-1, 1]."""
    return jnp.clip(jnp.round((x.astype(jnp.float32) + 1) * 127.5), 0, 255).astype(jnp.uint8)


class Resident(NamedTuple):
    """A set on the device; `mirror` is the probability of a horizontal flip."""

    x: UInt8[Array, "n h w c"]
    labels: Int32[Array, " n"] | None
    mirror: Float[Array, ""]


def resident(images: Images) -> Resident:
    """Copy a set to the device."""
    labels = None if images.labels is None else jnp.asarray(images.labels)
    return Resident(jnp.asarray(images.x), labels, jnp.float32(0.5 if images.flip else 0.0))


def draw(data: Resident, key: Key, n: int) -> Batch:
    """n independent examples, with replacement: all that a training loop needs which knows keys alone."""
    key_rows, key_mirror = jax.random.split(checked_key(key))
    return _gather(data, key_mirror, jax.random.randint(key_rows, (n,), 0, len(data.x)))


def batches(images: Images, size: int) -> Callable[[Key], Batch]:
    """`draw` of a resident set for `training.fit`: key -> Batch of `size` examples.

    It is a pytree whose leaves are the data: given to a jitted function as an argument, they are not compiled in.
    """
    return Partial(functools.partial(draw, n=checked_count(size, "size")), resident(images))


def _gather(data: Resident, key_mirror: Key, rows: Int[Array, " n"]) -> Batch:
    x = data.x[rows]
    mirrored = jax.random.bernoulli(key_mirror, data.mirror, rows.shape)
    x = jnp.where(mirrored[:, None, None, None], x[:, :, ::-1], x)
    return Batch(to_float(x), None if data.labels is None else data.labels[rows])
