"""MNIST and Fashion-MNIST from their IDX files, compressed or not.

A file is a magic number 0x0800 + (number of axes), the length of each axis, all as big-endian 32-bit words, and the bytes.

References: Y. LeCun, C. Cortes, C. Burges, the MNIST database; Xiao et al. (Fashion-MNIST), arXiv 1708.07747.
"""

import gzip
import math
import struct
import zlib
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ddjax.data import bounds
from ddjax.data.digits import DIGITS
from ddjax.data.images import Images, Split, require_labels
from ddjax.data.labels import warn_of_absent

FASHION = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
# the two sets have the same files and sizes: the first ten labels of each split tell them apart
FIRST = {
    (5, 0, 4, 1, 9, 2, 1, 3, 1, 4): ("mnist", DIGITS),
    (7, 2, 1, 0, 4, 1, 4, 9, 5, 9): ("mnist", DIGITS),
    (9, 0, 0, 3, 0, 2, 7, 2, 5, 5): ("fashion_mnist", FASHION),
    (9, 2, 1, 1, 6, 1, 4, 6, 5, 7): ("fashion_mnist", FASHION),
}
STEM = {"train": "train", "test": "t10k"}
_CHUNK = 2**20


def idx(folder: Path, split: Split = "train") -> Images:
    """A split from `train-images-idx3-ubyte` and its three siblings, each perhaps with `.gz`; ten classes.

    Raises: ValueError for a file that is missing, damaged or of another kind, or labels that do not fit the images.
    """
    x = read_idx(_file(folder, f"{STEM[split]}-images", 3), 3)
    path = _file(folder, f"{STEM[split]}-labels", 1)
    labels = read_idx(path, 1)
    require_labels(labels, len(x), 10, str(path))
    name, classes = FIRST.get(tuple(labels[:10].tolist()), (folder.resolve().name, DIGITS))
    if all(_candidates(folder, f"{stem}-labels", 1) for stem in STEM.values()):
        train, test = (read_idx(_file(folder, f"{stem}-labels", 1), 1) for stem in STEM.values())
        if max(train.max(), test.max()) < len(classes):
            warn_of_absent(classes, train, test, str(folder))
    return Images(x[..., None], labels.astype(np.int32), classes, split, name)


def is_idx(folder: Path) -> bool:
    """Whether the folder holds images in IDX files."""
    return any(_candidates(folder, f"{stem}-images", 3) for stem in STEM.values())


def read_idx(path: Path, axes: int) -> UInt8[np.ndarray, "..."]:
    """The array of bytes in an IDX file with so many axes.

    Raises: ValueError unless magic number, header and size agree; a compressed file is never inflated past its header.
    """
    with open(path, "rb") as packed:
        compressed = packed.read(2) == b"\x1f\x8b"
        packed.seek(0)
        file = gzip.GzipFile(fileobj=packed) if compressed else packed
        try:
            shape = _header(file, path, axes)
            size = math.prod(shape)
            if compressed:
                bounds.require_plausible(size, path)
            elif size != path.stat().st_size - file.tell():
                raise ValueError(f"{path}: {list(shape)} needs {size} bytes, got {path.stat().st_size - file.tell()}")
            content = _read(file, size + compressed)  # one byte too many would show a file that goes on
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} is damaged: {error}") from None
    if len(content) != size:
        raise ValueError(
            f"{path}: {list(shape)} needs {size} bytes, got {'more' if len(content) > size else len(content)}"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _header(file: BufferedIOBase, path: Path, axes: int) -> tuple[int, ...]:
    head = file.read(4 * (1 + axes))
    magic = int.from_bytes(head[:4], "big")
    if len(head) != 4 * (1 + axes) or magic != 0x800 + axes:
        raise ValueError(
            f"{path} is no IDX file of {axes} axes: the magic number must be {0x800 + axes:#x}, got {magic:#x}"
        )
    shape = struct.unpack(f">{axes}I", head[4:])
    if 0 in shape:
        raise ValueError(f"{path} is empty: {list(shape)}")
    return shape


def _read(file: BufferedIOBase, size: int) -> bytes:
    """Up to `size` bytes; memory grows with what arrives and not with what was promised."""
    content = bytearray()
    while len(content) < size and (piece := file.read(min(_CHUNK, size - len(content)))):
        content += piece
    return bytes(content)


def _candidates(folder: Path, stem: str, axes: int) -> list[Path]:
    names = (f"{stem}{dot}idx{axes}-ubyte{end}" for dot in "-." for end in ("", ".gz"))
    return [path for name in names if (path := folder / name).is_file()]


def _file(folder: Path, stem: str, axes: int) -> Path:
    found = _candidates(folder, stem, axes)
    if not found:
        raise ValueError(f"{folder} has no {stem}-idx{axes}-ubyte, with or without .gz")
    return found[0]
