"""A folder of image files, with a subfolder for each class or without: read at once, or one by one for a stream."""

import functools
import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, Int32, UInt8

from ddjax.data import bounds, image_files
from ddjax.data.images import Images, Split, described, divided, require_no_share
from ddjax.data.listing import Files, listing
from ddjax.inputs import checked_count

_NAMED = 20  # files named in one message


@dataclass(frozen=True, eq=False)
class Folder:
    """The files of one split, decoded when asked for.

    Args:
        size: side of the square that images are cropped and scaled to; None if all have the shape of the first already.
        flip: whether a mirror image is an image of the same law. notes: what was found beside, a phrase each.
    """

    paths: tuple[Path, ...]
    labels: Int32[np.ndarray, " n"] | None
    classes: tuple[str, ...]
    split: Split
    name: str
    shape: tuple[int, int, int]
    size: int | None
    flip: bool = False
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels once decoded."""
        return len(self) * math.prod(self.shape)

    def take(self, rows: Int[np.ndarray, " k"]) -> tuple[UInt8[np.ndarray, "k h w c"], Int32[np.ndarray, " k"] | None]:
        """Some images, decoded, and their labels. Raises: ValueError for files that cannot be read, by name."""
        x = np.empty((len(rows), *self.shape), np.uint8)
        bad = []
        for k, row in enumerate(rows):
            try:
                x[k] = image_files.decode(self.paths[row], self.shape, fit=self.size is not None)
            except ValueError as error:
                bad.append(error)
        _require_none(bad)
        return x, None if self.labels is None else self.labels[rows]

    @functools.cached_property
    def digest(self) -> str:
        """sha256 of the files' names and sizes, the labels, and the shape they are brought to: no file is read."""
        files = [(path.parent.name, path.name, path.stat().st_size) for path in self.paths]
        labels = None if self.labels is None else self.labels.tolist()
        return hashlib.sha256(repr((files, labels, self.shape, self.size)).encode()).hexdigest()

    def describe(self) -> str:
        """One line: what was found."""
        told = f"{described(self)}, decoded as they are needed, sha256 of names and sizes {self.digest[:16]}"
        return "; ".join((told, *self.notes))


def scan(
    path: Path,
    split: Split = "train",
    *,
    size: int | None = None,
    every: int | None = None,
    seed: int = 0,
    skip_unreadable: bool = False,
    follow_links: bool = False,
) -> Folder:
    """Find the images of a folder as `listing` does; the headers of the files of both splits are read, so that these agree.

    Args:
        size: crop the middle square and scale it to this side; without it all images must be of one size.
        every: one image in `every` (default: 10) belongs to the test, if the folder has no splits; 0 if it holds this split
            alone.
        skip_unreadable: leave out files that cannot be decoded, each of which is then decoded once here.
        follow_links: read what links out of the folder lead to, too.
    Raises: ValueError for files that are no images, all by name, more than one size, or `every` for a folder with splits.
    """
    size = None if size is None else checked_count(size, "size")
    found = listing(path, follow_links=follow_links)
    if None not in found.splits:
        require_no_share(every, path)
    headers, bad = _each(image_files.header, [file for files in found.splits.values() for file in files.paths])
    if not skip_unreadable:
        _require_none(bad)
    splits = {name: _kept(files, headers) for name, files in found.splits.items()}
    shape = _shape(headers, size)
    if skip_unreadable:
        decode = functools.partial(image_files.decode, shape=shape, fit=size is not None)
        whole, more = _each(decode, list(headers), keep=False)
        splits, bad = {name: _kept(files, whole) for name, files in splits.items()}, bad + more
    notes = list(found.notes)
    if bad:
        notes.append(f"{len(bad)} files left out: {'; '.join(map(str, bad[:_NAMED]))}")
    if several := sum(header.several for header in headers.values()):
        notes.append(f"of {several} files with several pictures the first is read")
    name = path.resolve().name
    files = splits.get(split) or splits[None]
    if not files.paths:
        raise ValueError(f"{path} has no {split} images that can be read")
    if None in splits and every != 0:
        labels = files.labels if found.classes else None
        rows, note = divided(
            labels, len(files.paths), split, every=every, seed=seed, name=str(path), classes=found.classes
        )
        files = Files([files.paths[row] for row in rows], files.labels[rows])
        notes.append(note)
    kept = files.labels.astype(np.int32) if found.classes else None
    return Folder(tuple(files.paths), kept, found.classes, split, name, shape, size, notes=tuple(notes))


def read(folder: Folder) -> Images:
    """Decode all images of a folder into memory.

    Raises: ValueError for files that cannot be read, all by name, or a folder too large for memory.
    """
    if folder.nbytes > bounds.LARGEST:
        raise ValueError(
            f"{folder.name} would fill {folder.nbytes:,} bytes; more than {bounds.LARGEST:,} must be streamed"
        )
    x, labels = folder.take(np.arange(len(folder)))
    return Images(x, labels, folder.classes, folder.split, folder.name, flip=folder.flip, notes=folder.notes)


def _each(
    ask: Callable[[Path], Any], paths: Sequence[Path], keep: bool = True
) -> tuple[dict[Path, Any], list[ValueError]]:
    """What each file answers, and the errors of those that do not."""
    found, bad = {}, []
    for path in paths:
        try:
            answer = ask(path)
            found[path] = answer if keep else None
        except ValueError as error:
            bad.append(error)
    return found, bad


def _kept(files: Files, found: dict[Path, Any]) -> Files:
    rows = [row for row, path in enumerate(files.paths) if path in found]
    return Files([files.paths[row] for row in rows], files.labels[rows])


def _require_none(bad: list[ValueError]) -> None:
    """Raises: ValueError with all errors in one."""
    if not bad:
        return
    more = f"; and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    raise ValueError(f"{'; '.join(map(str, bad[:_NAMED]))}{more} (skip_unreadable=True leaves such files out)")


def _shape(headers: dict[Path, image_files.Header], size: int | None) -> tuple[int, int, int]:
    """One shape for all: grey only if each of them is."""
    if not headers:
        raise ValueError("no file is an image that can be read")
    (first, one), *others = headers.items()
    for path, other in others if size is None else ():
        if (other.width, other.height) != (one.width, one.height):
            raise ValueError(
                f"{path} is {other.width} x {other.height}, {first.name} is {one.width} x {one.height}: "
                "one size is needed, or size="
            )
    channels = 1 if all(header.grey for header in headers.values()) else 3
    return (size, size, channels) if size else (one.height, one.width, channels)
