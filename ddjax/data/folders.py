"""A folder of image files, with a subfolder for each class or without: read at once, or one by one for a stream."""

import functools
import hashlib
import math
import mmap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, Int32, UInt8

from ddjax.data import bounds
from ddjax.data.images import Images, Split, described, held_out

# formats that Pillow decodes itself: no interpreter (EPS) and no second library is started by a file
FORMATS = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".gif": "GIF", ".webp": "WEBP", ".ppm": "PPM", ".pgm": "PPM",
}  # fmt: skip
MODES = {"1": "L", "L": "L", "LA": "L", "P": "RGB", "RGB": "RGB", "RGBA": "RGB", "CMYK": "RGB", "YCbCr": "RGB"}
LARGEST = 2**26  # pixels of one file


@dataclass(frozen=True, eq=False)
class Folder:
    """The files of one split, decoded when asked for.

    Args:
        size: side of the square that images are cropped and scaled to; None if all have the shape of the first already.
        flip: whether a mirror image is an image of the same law.
    """

    paths: tuple[Path, ...]
    labels: Int32[np.ndarray, " n"] | None
    classes: tuple[str, ...]
    split: Split
    name: str
    shape: tuple[int, int, int]
    size: int | None
    flip: bool = False

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels once decoded."""
        return len(self) * math.prod(self.shape)

    def take(self, rows: Int[np.ndarray, " k"]) -> tuple[UInt8[np.ndarray, "k h w c"], Int32[np.ndarray, " k"] | None]:
        """Some images, decoded, and their labels. Raises: ValueError for a file that cannot be read, by name."""
        x = np.empty((len(rows), *self.shape), np.uint8)
        for k, row in enumerate(rows):
            x[k] = _decode(self.paths[row], self.shape, self.size)
        return x, None if self.labels is None else self.labels[rows]

    @functools.cached_property
    def digest(self) -> str:
        """sha256 of the files' names and sizes, the labels, and the shape they are brought to: no file is read."""
        files = [(path.parent.name, path.name, path.stat().st_size) for path in self.paths]
        labels = None if self.labels is None else self.labels.tolist()
        return hashlib.sha256(repr((files, labels, self.shape, self.size)).encode()).hexdigest()

    def describe(self) -> str:
        """One line: what was found."""
        return f"{described(self)}, decoded as they are needed, sha256 of names and sizes {self.digest[:16]}"


def scan(
    path: Path, split: Split = "train", *, size: int | None = None, every: int = 10, seed: int = 0, name: str = ""
) -> Folder:
    """Find the images of a folder; only the headers of the files are read.

    Args:
        size: crop the middle square and scale it to this side; without it all images must be of one size.
        every: one image in `every` belongs to the test; 0 if the folder holds this split alone.
    Raises: ValueError for links that leave the folder, files that are no images, or more than one size.
    """
    if size is not None and size < 1:
        raise ValueError(f"images need at least 1 pixel, got {size=}")
    paths, labels, classes = _list(path)
    rows = held_out(labels, split, every=every, seed=seed)
    if not len(rows):
        raise ValueError(f"{path} has {len(paths)} images, too few to keep one in {every} for the test")
    paths = [paths[row] for row in rows]
    shape = _shape(paths, size)
    kept = labels[rows].astype(np.int32) if classes else None
    return Folder(tuple(paths), kept, classes, split, name or path.resolve().name, shape, size)


def read(folder: Folder) -> Images:
    """Decode all images of a folder into memory.

    Raises: ValueError for a file that cannot be read, by name, or a folder too large for memory.
    """
    if folder.nbytes > bounds.LARGEST:
        raise ValueError(
            f"{folder.name} would fill {folder.nbytes:,} bytes; more than {bounds.LARGEST:,} must be streamed"
        )
    x, labels = folder.take(np.arange(len(folder)))
    return Images(x, labels, folder.classes, folder.split, folder.name, flip=folder.flip)


def _list(path: Path) -> tuple[list[Path], np.ndarray, tuple[str, ...]]:
    """Files, their classes as numbers, and the names of the classes (none in a flat folder), all in sorted order."""
    home = path.resolve()
    files = _files(path, home)
    subfolders = [entry for entry in _entries(path, home) if entry.is_dir()]
    inside = {entry.name: found for entry in subfolders if (found := _files(entry, home))}
    if files and inside:
        raise ValueError(
            f"{path} has images beside the subfolder {next(iter(inside))!r}: either all in classes or none"
        )
    if not files and not inside:
        raise ValueError(f"{path} has no images: looked for {' '.join(FORMATS)}, in it and one folder below")
    if files:
        return files, np.zeros(len(files), int), ()
    labels = np.repeat(np.arange(len(inside)), [len(found) for found in inside.values()])
    return [file for found in inside.values() for file in found], labels, tuple(inside)


def _entries(folder: Path, home: Path) -> list[Path]:
    """Visible entries in sorted order. Raises: ValueError for a link that leaves the folder."""
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    for entry in entries:
        if entry.is_symlink() and not entry.resolve().is_relative_to(home):
            raise ValueError(f"{entry} is a link that leaves the folder")
    return entries


def _files(folder: Path, home: Path) -> list[Path]:
    return [entry for entry in _entries(folder, home) if entry.suffix.lower() in FORMATS and entry.is_file()]


def _shape(paths: list[Path], size: int | None) -> tuple[int, int, int]:
    """One shape for all: grey only if each of them is."""
    first, grey = None, True
    for path in paths:
        with _open(path) as image:
            found, mode = image.size, MODES[image.mode]
        first = first or found
        grey = grey and mode == "L"
        if size is None and found != first:
            raise ValueError(
                f"{path} is {found[0]} x {found[1]}, {paths[0].name} is {first[0]} x {first[1]}: one size is needed, or size="
            )
    width, height = (size, size) if size else first
    return height, width, 1 if grey else 3


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """The image, its pixels not decoded yet. Raises: ValueError with the name of the file, here and while it is open."""
    from PIL import Image

    try:
        # a map gives no more than it has, where a file first makes room for all that a damaged header asks for
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's own bound is a warning; ours, below, is an error
                image = Image.open(content, formats=sorted(set(FORMATS.values())))
            if image.width * image.height > LARGEST:
                raise ValueError(f"{image.width} x {image.height} is more than {LARGEST:,} pixels")
            bounds.require_plausible(3 * image.width * image.height, path)
            if image.mode not in MODES:
                raise ValueError(f"pixels of mode {image.mode} do not fit in bytes")
            yield image
    except Exception as error:  # a decoder that meets a damaged file may raise anything
        raise ValueError(f"cannot read the image {path}: {error or type(error).__name__}") from None


def _decode(path: Path, shape: tuple[int, int, int], size: int | None) -> np.ndarray:
    from PIL import Image, ImageOps

    height, width, channels = shape
    with _open(path) as image:
        pixels = image.convert("L" if channels == 1 else "RGB")
        if size is not None:
            pixels = ImageOps.fit(pixels, (width, height), Image.Resampling.LANCZOS)
        return np.asarray(pixels).reshape(shape)
