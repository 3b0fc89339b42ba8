"""Tensors out of `torch.save` files without torch and without running anything: the pickle inside may only spell tensors.

A state dict is pickled as calls of `_rebuild_tensor_v2` on storages, whose bytes lie beside the pickle: as members of a zip
archive, or behind the pickle, as torch wrote until 1.5. Here every opcode and every global name is checked before anything
is loaded, calls yield plain records, and views are checked against the bytes that are really there.
"""

import io
import math
import pickle
import pickletools
import re
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

_DTYPES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool",
}  # fmt: skip
_GLOBALS = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2", *(f"torch {name}" for name in _DTYPES)}
_OPCODES = {
    "PROTO", "STOP", "MARK", "GLOBAL", "REDUCE", "BUILD", "BINPERSID", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET",
    "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "EMPTY_TUPLE", "TUPLE",
    "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_DICT", "SETITEM", "SETITEMS", "EMPTY_LIST", "APPEND", "APPENDS",
}  # fmt: skip
_LEGACY_MAGIC, _LEGACY_VERSION = 0x1950A86A20F9469CFC6C, 1001
_LARGEST_PICKLE = 16 << 20


class _Storage(NamedTuple):
    dtype: str
    key: str
    size: int


class _View(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_torch(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of a saved state dict, by name; `weights.read` is its door.

    Raises: ValueError, naming what was found, for anything that is not a mapping from names to tensors, and for tensors
        that do not lie inside their storage; what zipfile and pickle raise on a damaged file.
    """
    with Path(path).open("rb") as file:
        views, bytes_of = _read_zip(file) if zipfile.is_zipfile(file) else _read_legacy(file)
        return {name: _tensor(name, view, bytes_of) for name, view in views.items()}


# --- the two containers -----------------------------------------------------------------------------------------------


def _read_zip(file: io.BufferedIOBase) -> tuple[dict[str, _View], Callable[[_Storage], bytes]]:
    archive = zipfile.ZipFile(file)
    members = {info.filename: info for info in archive.infolist()}
    pickles = [name for name in members if name.endswith("data.pkl") and name.count("/") <= 1]
    if len(pickles) != 1:
        raise ValueError(f"not an archive of torch.save, it holds {sorted(members)[:5]}")
    if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
        raise ValueError("a compressed archive, and torch.save never compresses")
    root = pickles[0].removesuffix("data.pkl")
    order = archive.read(root + "byteorder") if root + "byteorder" in members else b"little"
    if order != b"little":
        raise ValueError(f"byte order {order[:10]!r}, only little is read")

    def bytes_of(storage: _Storage) -> bytes:
        info = members.get(f"{root}data/{storage.key}")
        if info is None or info.file_size != _length(storage):
            held = "nothing" if info is None else f"{info.file_size} bytes"
            raise ValueError(f"storage {storage.key!r} should hold {_length(storage)} bytes, found {held}")
        return archive.read(info)

    if members[pickles[0]].file_size > _LARGEST_PICKLE:
        raise ValueError(f"a pickle of {members[pickles[0]].file_size} bytes is no state dict")
    with archive.open(pickles[0]) as member:
        return _views(_load(io.BytesIO(member.read()))), bytes_of


def _read_legacy(file: io.BufferedIOBase) -> tuple[dict[str, _View], Callable[[_Storage], bytes]]:
    size = Path(file.name).stat().st_size
    file.seek(0)
    if file.read(1) != pickle.PROTO:
        raise ValueError("neither a zip archive nor a pickle of torch.save")
    file.seek(0)
    head = [_load(file), _load(file)]
    if head != [_LEGACY_MAGIC, _LEGACY_VERSION]:
        raise ValueError("a pickle, but not one of torch.save")
    if not (isinstance(info := _load(file), dict) and info.get("little_endian") is True):
        raise ValueError("only files of little-endian machines are read")
    views, keys = _views(_load(file)), _load(file)
    sizes = {view.storage.key: view.storage for view in views.values()}
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or set(keys) != set(sizes):
        raise ValueError("the list of storages does not fit the tensors")
    places = {}
    for key in keys:
        (count,) = struct.unpack("<q", file.read(8))
        if count != sizes[key].size or file.tell() + _length(sizes[key]) > size:
            raise ValueError(
                f"storage {key!r} should hold {sizes[key].size} numbers, found {count} or the end of the file"
            )
        places[key] = file.tell()
        file.seek(_length(sizes[key]), 1)

    def bytes_of(storage: _Storage) -> bytes:
        file.seek(places[storage.key])
        return file.read(_length(storage))

    return views, bytes_of


# --- the pickle -------------------------------------------------------------------------------------------------------


def _load(file: io.BufferedIOBase) -> Any:
    """The next pickle of a file, after a look at all its opcodes: nothing unknown is ever loaded, let alone called."""
    start = file.tell()
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name not in _OPCODES:
            raise ValueError(f"refused: opcode {opcode.name} is not in files of tensors")
        if opcode.name == "GLOBAL" and argument not in _GLOBALS:
            raise ValueError(f"refused: {argument.replace(' ', '.')} is not a tensor")
        if opcode.name == "LONG_BINPUT" and argument > _LARGEST_PICKLE // 8:
            raise ValueError("refused: a memo of more objects than any state dict has")
    file.seek(start)
    try:
        return _Unpickler(file).load()
    except (TypeError, AttributeError, IndexError, KeyError) as error:
        raise ValueError(f"refused: a pickle that does not spell tensors ({error})") from None


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        class Mapping(OrderedDict):  # made anew for each file, so that nothing a file does to it lasts
            def __setstate__(self, _):
                """The metadata of a state dict, which nobody needs."""

        def rebuild(storage, offset, shape, strides, *_):
            return _View(storage, offset, shape, strides)

        found = {"collections OrderedDict": Mapping, "torch._utils _rebuild_tensor_v2": rebuild}
        found |= {f"torch {name}": dtype for name, dtype in _DTYPES.items()}
        if f"{module} {name}" not in found:
            raise ValueError(f"refused: {module}.{name} is not a tensor")
        return found[f"{module} {name}"]

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", str(dtype), str(key), str(), int(size), *_) if dtype in _DTYPES.values():
                if re.fullmatch(r"\w{1,40}", key) and size >= 0:
                    return _Storage(dtype, key, size)
        raise ValueError("refused: a reference to something that is not a storage")


def _views(content: Any) -> dict[str, _View]:
    if not isinstance(content, dict):
        raise ValueError(f"holds a {type(content).__name__}, not a mapping from names to tensors")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, _View):
            entry = name[:60] if isinstance(name, str) else type(name).__name__
            raise ValueError(f"the entry {entry!r} is a {type(value).__name__}, not a tensor")
        counts = (value.offset, *value.shape, *value.strides) if _tuples(value) else (-1,)
        if not isinstance(value.storage, _Storage) or not all(type(count) is int and count >= 0 for count in counts):
            raise ValueError(f"the tensor {name!r} is not described by a storage, an offset, a shape and strides")
    return content


def _tuples(view: _View) -> bool:
    return isinstance(view.shape, tuple) and isinstance(view.strides, tuple) and len(view.shape) == len(view.strides)


# --- the numbers ------------------------------------------------------------------------------------------------------


def _dtype(storage: _Storage) -> np.dtype:
    return np.dtype(ml_dtypes.bfloat16 if storage.dtype == "bfloat16" else storage.dtype)


def _length(storage: _Storage) -> int:
    return storage.size * _dtype(storage).itemsize


def _tensor(name: str, view: _View, bytes_of: Callable[[_Storage], bytes]) -> np.ndarray:
    storage, count = view.storage, math.prod(view.shape)
    last = view.offset + sum((n - 1) * stride for n, stride in zip(view.shape, view.strides, strict=True))
    if count > storage.size or (count and last >= storage.size):
        raise ValueError(
            f"the tensor {name!r} of shape {view.shape} reaches outside its storage of {storage.size} numbers"
        )
    numbers = np.frombuffer(bytes_of(storage), _dtype(storage))
    if not count:
        return np.zeros(view.shape, numbers.dtype)
    strides = [stride * numbers.itemsize for stride in view.strides]
    return np.lib.stride_tricks.as_strided(numbers[view.offset :], view.shape, strides).copy()
