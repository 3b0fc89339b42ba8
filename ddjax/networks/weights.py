"""Parameters in files: our own as safetensors, and those of torch networks by name.

A file is a flat mapping from names to arrays. Ours joins the path of a parameter by dots; torch's names are the same where
a network's modules are named alike (`networks.reference`, `networks.inception`), up to layout:

    kernel [in, out] = weight.T      kernel [height, width, in, out] = weight [out, in, height, width]      scale = weight
"""

import math
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import safetensors
import safetensors.numpy

from ddjax.networks.torch_files import read_torch
from ddjax.types import Params

Arrays = dict[str, np.ndarray]

# what the libraries raise on bytes that they do not understand
_DAMAGE = (
    ValueError, KeyError, IndexError, TypeError, SyntaxError, RuntimeError, OverflowError, EOFError, OSError, struct.error,
    zlib.error, zipfile.BadZipFile, pickle.UnpicklingError, safetensors.SafetensorError,
)  # fmt: skip


def read(path: str | Path) -> Arrays:
    """The arrays of a safetensors, npz or torch file, told apart by content; nothing in it is ever run.

    Raises: FileNotFoundError; ValueError for another or a damaged file, or an entry that is not numbers.
    """
    try:
        return _reader(path)(path)
    except (FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except _DAMAGE as error:
        raise ValueError(f"cannot read weights from {path}: {error}") from None


def _reader(path: str | Path) -> Callable[[str | Path], Arrays]:
    with Path(path).open("rb") as file:
        if file.read(9)[8:] == b"{":
            return safetensors.numpy.load_file
        if zipfile.is_zipfile(file) and all(name.endswith(".npy") for name in zipfile.ZipFile(file).namelist()):
            return _read_npz
    return read_torch


def _read_npz(path: str | Path) -> Arrays:
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            with archive.open(info) as member:
                arrays[info.filename.removesuffix(".npy")] = _read_npy(member, info)
    return arrays


def _read_npy(member: zipfile.ZipExtFile, info: zipfile.ZipInfo) -> np.ndarray:
    """One array, its header checked against the length of the member before anything is allocated."""
    version = np.lib.format.read_magic(member)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"{info.filename} is of an unknown version {version}")
    shape, columns_first, dtype = readers[version](member)
    left = info.file_size - member.tell()
    if dtype.hasobject or dtype.itemsize * math.prod(shape) != left or left > 1000 * (info.compress_size + 1):
        raise ValueError(f"{info.filename} should hold {dtype} {shape}, its {info.compress_size} bytes cannot")
    return np.frombuffer(member.read(), dtype).reshape(shape, order="F" if columns_first else "C")


def save(path: str | Path, params: Params) -> None:
    """Write parameters as safetensors, all or nothing."""
    path = Path(path)
    draft = path.with_name(path.name + ".draft")
    safetensors.numpy.save_file({name: np.asarray(leaf) for name, leaf in _named(params)}, draft)
    os.replace(draft, path)


def restored(arrays: Arrays, like: Params) -> Params:
    """Our own parameters from `read`, in the structure of `like`, an output of `network.init` or its `jax.eval_shape`.

    Raises: ValueError that names the first array which is missing, left over, or of another shape.
    """
    return _fitted(arrays, like, [(name, name, None) for name, _ in _named(like)], ())


def from_torch(arrays: Arrays, like: Params, *, ignored: Iterable[str] = ()) -> Params:
    """Parameters of a network whose modules are named as torch's, from `read`, in the structure of `like`.

    Args:
        ignored: beginnings of names that the network has no use for.
    Raises: ValueError that names the first array which is missing, left over, or of another shape.
    """
    rules = []
    for name, leaf in _named(like):
        module, _, kind = name.removeprefix("params.").rpartition(".")
        axes = {2: (1, 0), 4: (2, 3, 1, 0)}[leaf.ndim] if kind == "kernel" else None
        kind = "weight" if kind in ("kernel", "scale") else kind
        rules.append((name, f"{module}.{kind}" if module else kind, axes))
    return _fitted(arrays, like, rules, tuple(ignored))


def _named(params: Params) -> list[tuple[str, Any]]:
    return [(".".join(key.key for key in path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(params)]


def _fitted(arrays: Arrays, like: Params, rules: list[tuple], ignored: tuple[str, ...]) -> Params:
    leaves, treedef = jax.tree.flatten(like)
    wanted = [name for _, name, _ in rules]
    left = [name for name in arrays if name not in wanted and not name.startswith(ignored or ("\0",))]
    found = []
    for (_, name, axes), leaf in zip(rules, leaves, strict=True):
        if name not in arrays:
            raise ValueError(f"weights of another network: {name!r} is missing (left over: {left[:3]})")
        array = arrays[name]
        if axes is not None and array.ndim == len(axes):
            array = array.transpose(axes)
        if array.shape != leaf.shape:
            shape = leaf.shape if axes is None else tuple(leaf.shape[axes.index(i)] for i in range(len(axes)))
            raise ValueError(f"weights of another network: {name!r} is {arrays[name].shape}, wanted {shape}")
        found.append(jax.numpy.asarray(array, leaf.dtype))
    if left:
        raise ValueError(f"weights of another network: {left[0]!r} has no place here")
    return jax.tree.unflatten(treedef, found)
