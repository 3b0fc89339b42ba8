"""Tensors out of `torch.save` files without torch: the bytes lie beside a pickle that `torch_pickles` understands.

They are members of a zip archive, or follow the pickle, as torch wrote until 1.5. Tensors are views of those bytes, each read
once, so that a file takes no more memory than its size; views are checked against the bytes that are really there.
"""

import io
import math
import pickle
import struct
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from ddjax.networks import torch_pickles
from ddjax.networks.torch_pickles import Other, Storage, View

_LEGACY_MAGIC, _LEGACY_VERSION = 0x1950A86A20F9469CFC6C, 1001
_SHARED = 4  # tensors may be as large together as so many files: weights that are tied have two names, not hundreds

Contents = tuple[dict[str, View], Callable[[Storage], bytes]]


def read_torch(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of a saved state dict, by name, read-only; `weights.read` is its door.

    Raises: ValueError, naming what was found, for anything that is not a mapping from names to tensors, and for tensors
        that do not lie inside their storage; what zipfile raises on a damaged file.
    """
    size = Path(path).stat().st_size
    with Path(path).open("rb") as file:
        views, bytes_of = _zipped(file, size) if zipfile.is_zipfile(file) else _legacy(file, size)
        for name, view in views.items():
            _require_inside(name, view)
        told = sum(math.prod(view.shape) * _dtype(view.storage).itemsize for view in views.values())
        if told > _SHARED * size:
            raise ValueError(f"refused: tensors of {told:,} bytes in a file of {size:,}")
        kept = cache(bytes_of)
        return {name: _tensor(view, kept(view.storage)) for name, view in views.items()}


def _zipped(file: io.BufferedIOBase, size: int) -> Contents:
    archive = zipfile.ZipFile(file)
    members = {info.filename: info for info in archive.infolist()}
    pickles = [name for name in members if name.endswith("data.pkl") and name.count("/") <= 1]
    if len(pickles) != 1 or len(members) < len(archive.infolist()):
        raise ValueError(f"not an archive of torch.save, it holds {[name[:40] for name in sorted(members)[:5]]}")
    if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
        raise ValueError("a compressed archive, and torch.save never compresses")
    if any(info.file_size != info.compress_size for info in members.values()):
        raise ValueError("an archive whose directory does not fit its members")
    if sum(info.file_size for info in members.values()) > size:
        raise ValueError(f"an archive that says it holds more than its {size:,} bytes")
    root = pickles[0].removesuffix("data.pkl")
    order = archive.read(root + "byteorder") if root + "byteorder" in members else b"little"
    if order != b"little":
        raise ValueError(f"byte order {order[:10]!r}, only little is read")

    def bytes_of(storage: Storage) -> bytes:
        info = members.get(f"{root}data/{storage.key}")
        if info is None or info.file_size != _length(storage):
            held = "nothing" if info is None else f"{info.file_size} bytes"
            raise ValueError(f"storage {storage.key!r} should hold {_length(storage)} bytes, found {held}")
        return archive.read(info)

    if members[pickles[0]].file_size > torch_pickles.LARGEST:
        raise ValueError(f"a pickle of {members[pickles[0]].file_size} bytes is no state dict")
    return _views(torch_pickles.read(io.BytesIO(archive.read(pickles[0])))), bytes_of


def _legacy(file: io.BufferedIOBase, size: int) -> Contents:
    file.seek(0)
    head = io.BytesIO(file.read(torch_pickles.LARGEST))
    if head.getvalue()[:1] != pickle.PROTO:
        raise ValueError("neither a zip archive nor a pickle of torch.save")
    if [torch_pickles.read(head), torch_pickles.read(head)] != [_LEGACY_MAGIC, _LEGACY_VERSION]:
        raise ValueError("a pickle, but not one of torch.save")
    if not (isinstance(info := torch_pickles.read(head), dict) and info.get("little_endian") is True):
        raise ValueError("only files of little-endian machines are read")
    views, keys = _views(torch_pickles.read(head)), torch_pickles.read(head)
    storages = {view.storage for view in views.values()}
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(storage.key for storage in storages):
        raise ValueError("the list of storages does not fit the tensors")
    sizes, places = {storage.key: storage for storage in storages}, {}
    file.seek(head.tell())
    for key in keys:
        (count,) = struct.unpack("<q", file.read(8))
        if count != sizes[key].size or file.tell() + _length(sizes[key]) > size:
            raise ValueError(
                f"storage {key!r} should hold {sizes[key].size} numbers, found {count} or the end of the file"
            )
        places[key] = file.tell()
        file.seek(_length(sizes[key]), 1)

    def bytes_of(storage: Storage) -> bytes:
        file.seek(places[storage.key])
        return file.read(_length(storage))

    return views, bytes_of


def _views(content: Any) -> dict[str, View]:
    if not isinstance(content, dict):
        raise ValueError(f"holds a {type(content).__name__}, not a mapping from names to tensors")
    for name, value in content.items():
        if not isinstance(value, View):
            kind = value.kind if isinstance(value, Other) else type(value).__name__
            raise ValueError(f"the entry {name[:60]!r} is a {kind}, not a tensor")
    return content


def _dtype(storage: Storage) -> np.dtype:
    return np.dtype(ml_dtypes.bfloat16 if storage.dtype == "bfloat16" else storage.dtype)


def _length(storage: Storage) -> int:
    return storage.size * _dtype(storage).itemsize


def _require_inside(name: str, view: View) -> None:
    size, count = view.storage.size, math.prod(view.shape)
    last = view.offset + sum((n - 1) * stride for n, stride in zip(view.shape, view.strides, strict=True))
    if count > size or (count and last >= size):
        raise ValueError(
            f"the tensor {name[:60]!r} of shape {view.shape} reaches outside its storage of {size} numbers"
        )


def _tensor(view: View, content: bytes) -> np.ndarray:
    dtype = _dtype(view.storage)
    if 0 in view.shape:
        return np.zeros(view.shape, dtype)
    strides = [stride * dtype.itemsize for stride in view.strides]
    return np.ndarray(view.shape, dtype, content, view.offset * dtype.itemsize, strides)
