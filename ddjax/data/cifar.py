"""CIFAR-10, binary version, from its folder or straight from its archive, which is read and never extracted.

A record is one byte of label and 3 x 1,024 bytes of red, green and blue, row by row; a file has 10,000 of them. Files that
have fewer are read too, as a set that is not CIFAR-10 and with a warning that says so.

References: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
"""

import gzip
import tarfile
import warnings
import zlib
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from ddjax.data.images import Images, Split, divided, require_labels

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
RECORDS, RECORD = 10_000, 1 + 3 * 32 * 32
FOLDER, PICKLED = "cifar-10-batches-bin", "cifar-10-batches-py"
ARCHIVE = "cifar-10-binary.tar.gz"
FILES = {"train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test": ("test_batch.bin",)}
SPARE = 2**20  # bytes of an archive that are not images: its readme, names and headers


def cifar10(path: Path, split: Split = "train") -> Images:
    """A split, from the folder with the .bin files, a folder that holds it or the archive, or the archive itself.

    Raises: ValueError for the version with Python pickles, a member that is missing, a link, out of place or of another
        size, or a damaged file.
    """
    found = locate(path)
    if found is None:
        raise ValueError(f"{path} has neither {FILES['train'][0]} nor {ARCHIVE}")
    content = _from_archive(found, split) if found.is_file() else _from_folder(found, split)
    x, labels = _images(content, path)
    if len(x) == RECORDS * len(FILES[split]):
        return Images(x, labels, CLASSES, split, "cifar10", flip=True)
    _warn(path, f"{len(x):,} images to {split}, CIFAR-10 has {RECORDS * len(FILES[split]):,}")
    return Images(x, labels, CLASSES, split, path.resolve().name, flip=True)


def records(path: Path, split: Split = "train", *, every: int | None = None, seed: int = 0) -> Images:
    """A set from one file of records, one in `every` (default: 10) of each class held out.

    Raises: ValueError for a file of another length, or labels that are not CIFAR-10's.
    """
    _require_records(path.stat().st_size, str(path), len(FILES["train"]) * RECORDS)
    x, labels = _images(path.read_bytes(), path)
    _warn(path, f"one file of {len(x):,} images")
    rows, note = divided(labels, len(x), split, every=every, seed=seed, name=str(path), classes=CLASSES)
    return Images(x[rows], labels[rows], CLASSES, split, path.stem, flip=True, notes=(note,))


def _images(content: bytes, path: Path) -> tuple[np.ndarray, np.ndarray]:
    found = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    labels = found[:, 0].astype(np.int32)
    require_labels(labels, len(found), len(CLASSES), str(path))
    return np.ascontiguousarray(found[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), labels


def _warn(path: Path, told: str) -> None:
    warnings.warn(f"{path} is not CIFAR-10's, though its records and classes are read as such: {told}", stacklevel=4)


def _require_records(size: int, name: str, most: int) -> None:
    """Raises: ValueError unless so many bytes are whole records, one at least."""
    if size % RECORD or not 0 < size <= most * RECORD:
        raise ValueError(
            f"{name} must have {most * RECORD:,} bytes, got {size:,}; fewer images are read if they are whole records of "
            f"{RECORD:,} bytes"
        )


def locate(path: Path) -> Path | None:
    """The folder of .bin files or the archive that `path` is or holds; None where there is neither.

    Raises: ValueError for the version with Python pickles.
    """
    if path.is_file():
        return path
    for folder in (path, path / FOLDER):
        if any((folder / name).is_file() for names in FILES.values() for name in names):
            return folder
    if (path / ARCHIVE).is_file():
        return path / ARCHIVE
    for pickled in (path / PICKLED, path / "cifar-10-python.tar.gz", path / "data_batch_1"):
        if pickled.exists():
            _refuse_pickles(pickled)
    return None


def _refuse_pickles(path: Path) -> None:
    raise ValueError(
        f"{path} is the Python version of CIFAR-10: pickles, which can run any code when they are loaded and are refused; "
        f"get the binary version, {ARCHIVE}"
    )


def _from_folder(folder: Path, split: Split) -> bytes:
    parts = []
    for name in FILES[split]:
        path = folder / name
        if not path.is_file():
            raise ValueError(f"{path} must have {RECORDS * RECORD:,} bytes, got no file")
        _require_records(path.stat().st_size, str(path), RECORDS)
        parts.append(path.read_bytes())
    return b"".join(parts)


def _from_archive(path: Path, split: Split) -> bytes:
    """Members by exact name and size; the stream is cut where an honest archive must have ended."""
    wanted = {f"{FOLDER}/{name}": name for names in FILES.values() for name in names}
    found = {}
    with open(path, "rb") as packed:
        bounded = _Bounded(gzip.GzipFile(fileobj=packed), len(wanted) * RECORDS * RECORD + SPARE, path)
        try:
            with tarfile.open(fileobj=bounded, mode="r|") as archive:
                for member in archive:
                    _require_honest(member, path)
                    if (name := wanted.get(member.name)) in FILES[split]:
                        found[name] = archive.extractfile(member).read()
                        _require_records(len(found[name]), f"{path}: member {member.name!r}", RECORDS)
        except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} is no .tar.gz archive that can be read: {error}") from None
    missing = [name for name in FILES[split] if name not in found]
    if missing:
        raise ValueError(
            f"{path} has no {FOLDER}/{missing[0]} of {RECORDS * RECORD:,} bytes; unpack an archive of other images, and give "
            "the folder"
        )
    return b"".join(found[name] for name in FILES[split])


def _require_honest(member: tarfile.TarInfo, path: Path) -> None:
    parts = Path(member.name).parts
    if parts[:1] == (PICKLED,):
        _refuse_pickles(path)
    if member.name.startswith("/") or ".." in parts:
        raise ValueError(f"{path}: member {member.name!r} points outside of the archive")
    if not (member.isdir() or member.isreg()) or member.issparse():
        raise ValueError(f"{path}: member {member.name!r} is neither a plain file nor a folder (a link or a device)")
    if member.name.endswith(".bin"):
        _require_records(member.size, f"{path}: member {member.name!r}", RECORDS)


class _Bounded:
    """A stream that may be read so far and no further."""

    def __init__(self, file: BufferedIOBase, left: int, path: Path):
        self._file, self._left, self._path = file, left, path

    def read(self, size: int) -> bytes:
        piece = self._file.read(size)
        self._left -= len(piece)
        if self._left < 0:
            raise ValueError(f"{self._path} inflates to more than CIFAR-10 has: refused as a decompression bomb")
        return piece
