"""The one reader of .npz files, and of .npy files as memory maps: never a pickle, never more than the header says.

An array is made of what follows its header only when header and size agree, and only of booleans, numbers and text.
"""

import io
import math
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from ddjax.data import bounds

MAGIC = b"\x93NUMPY"
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_HEAD = 2**16  # bytes in which a header ends: numpy reads none above 10,000
_KINDS = "biufUS"  # booleans, numbers and text: no records, dates or objects
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# what numpy's parser of headers, which are Python literals, and zipfile raise on bytes that they do not understand
DAMAGE = (
    ValueError, SyntaxError, tokenize.TokenError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, MemoryError,
    RecursionError, EOFError, NotImplementedError, RuntimeError, OSError, Warning,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def read(path: str | Path) -> dict[str, np.ndarray]:
    """All arrays of a .npz file, by name.

    Raises: FileNotFoundError; ValueError, naming the file, for anything else that is not such a file, holds Python objects
        or records, is damaged, or would inflate beyond `bounds`.
    """
    path = Path(path).expanduser()
    bounds.require_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len({member.filename for member in members}) < len(members):
                raise ValueError("two arrays have one name")
            bounds.require_plausible(sum(member.file_size for member in members), path)
            return {member.filename.removesuffix(".npy"): _member(archive, member) for member in members}
    except DAMAGE as error:
        raise _refused(path, ".npz", error) from None


def mapped(path: str | Path) -> np.ndarray:
    """The array of a .npy file, left on disk.

    Raises: as `read`; also for an array without elements, which cannot be mapped.
    """
    path = Path(path).expanduser()
    bounds.require_file(path)
    try:
        with path.open("rb") as file:
            shape, order, dtype, offset = _header(file.read(_HEAD), path.stat().st_size)
        if 0 in shape or not dtype.itemsize:
            raise ValueError(f"it is empty: {dtype} {list(shape)}")
        return np.memmap(path, dtype, "r", offset, shape, order)
    except DAMAGE as error:
        raise _refused(path, ".npy", error) from None


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    if not member.filename.endswith(".npy") or member.compress_type not in _PACKED:
        raise ValueError(f"{member.filename!r} is not an array as numpy.savez writes it")
    content = archive.read(member)
    try:
        shape, order, dtype, offset = _header(content[:_HEAD], len(content))
    except ValueError as error:
        raise ValueError(f"{member.filename}: {error}") from None
    return np.frombuffer(content, dtype, offset=offset).reshape(shape, order=order)


def _header(head: bytes, size: int) -> tuple[tuple[int, ...], str, np.dtype, int]:
    """Shape, order ("C" or "F"), dtype and place of the elements, of an array whose file has `size` bytes."""
    file = io.BytesIO(head)
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f".npy version {version} is not read, allowed are 1.0 and 2.0")
    shape, columns_first, dtype = _HEADERS[version](file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are never loaded")
    if dtype.kind not in _KINDS or not dtype.itemsize:
        raise ValueError(f"elements must be booleans, numbers or text, got {dtype}")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size - file.tell():
        raise ValueError(f"it says {dtype} {list(shape)}, its size says otherwise")
    return shape, "F" if columns_first else "C", dtype, file.tell()


def _refused(path: Path, kind: str, error: BaseException) -> ValueError:
    told = str(error) or type(error).__name__
    return ValueError(told if str(path) in told else f"{path} is no {kind} file that can be read: {told}")
