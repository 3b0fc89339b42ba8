"""Parameters in safetensors files: our own, and those of torch networks whose modules are named alike.

A file is a flat mapping from names to arrays. Ours joins the path of a parameter by dots; the names of torch are the same where a
network's modules are named alike (`networks.inception`), up to layout:

    kernel [in, out] = weight.T      kernel [height, width, in, out] = weight [out, in, height, width]      scale = weight

docs/how-to/torch_weights.md converts a torch file.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import safetensors
import safetensors.numpy

from ddjax.data import bounds
from ddjax.files import replacing
from ddjax.types import Params, known

Arrays = dict[str, np.ndarray]

# what Python's parsers of JSON and numbers, and numpy, raise on bytes that they do not understand
_DAMAGE = (
    ValueError, TypeError, KeyError, AttributeError, ArithmeticError, MemoryError, RecursionError, OSError,
    safetensors.SafetensorError,
)  # fmt: skip
_HEADER = 2**23  # bytes of a safetensors header, some 50,000 names
_SAFETENSORS = ("F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL")


def read(path: str | Path) -> Arrays:
    """The arrays of a safetensors file by name; nothing in it is ever run.

    Raises: FileNotFoundError; ValueError, naming the file, for another or a damaged one, an entry that is not real numbers,
        or more of them than the file holds.
    """
    path = Path(path).expanduser()
    bounds.require_file(path)
    try:
        _require_header(path)
        arrays = safetensors.numpy.load_file(path)
        for name, array in arrays.items():
            _require_zeros_and_ones(name, array)
        return arrays
    except (FileNotFoundError, PermissionError):
        raise
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ValueError(f"cannot read weights from {path}: {reason}") from None


def _require_header(path: Path) -> None:
    """Raises: ValueError for a file that is not safetensors, one name twice, or numbers that numpy does not have."""
    with path.open("rb") as file:
        start = file.read(9)
        if start[8:] != b"{":
            raise ValueError("it is no safetensors file; docs/how-to/torch_weights.md converts a torch file")
        length = int.from_bytes(start[:8], "little")
        if length > _HEADER:
            raise ValueError(f"a header of {length:,} bytes, the largest read is {_HEADER:,}")
        header = json.loads(start[8:] + file.read(length - 1), object_pairs_hook=_once)
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] not in _SAFETENSORS:
            raise ValueError(f"{name[:60]!r} is of dtype {entry['dtype']!r}, read are {', '.join(_SAFETENSORS)}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("two entries have one name")
    return mapping


def _require_zeros_and_ones(name: str, array: np.ndarray) -> None:
    if array.dtype == bool and array.size and array.view(np.uint8).max() > 1:
        raise ValueError(f"{name[:60]!r} holds booleans that are neither 0 nor 1")


def save(path: str | Path, params: Params) -> None:
    """Write parameters as safetensors, all or nothing; `load` reads them.

    Raises: ValueError for two parameters of one name, such as those of {"a": {"b": x}, "a.b": y}.
    """
    named = _named(params)
    if len(dict(named)) < len(named):
        raise ValueError(f"two parameters have one name among {sorted(name for name, _ in named)[:5]}...")
    with replacing(Path(path).expanduser()) as file:
        file.write(safetensors.numpy.save({name: np.asarray(leaf) for name, leaf in named}))


def load(path: str | Path, like: Params) -> Params:
    """The parameters that `save` wrote, in the structure and dtypes of `like`.

    Args:
        like: an output of `network.init`, or `jax.eval_shape(network.init, jax.random.key(0))`, which computes nothing.
    Raises: FileNotFoundError; ValueError for another or a damaged file, and naming the first array which is missing, left over, of
        another shape, or not finite.
    """
    return restored(read(path), like)


def restored(arrays: Arrays, like: Params) -> Params:
    """Our own parameters from `read`, in the structure of `like`, an output of `network.init` or its `jax.eval_shape`.

    Raises: ValueError that names the first array which is missing, left over, of another shape, or not finite.
    """
    named, paths = _named(like), [path for path, _ in jax.tree_util.tree_leaves_with_path(like)]
    # names with brackets, as the guide of version 0.3.0 wrote them
    bracketed = {jax.tree_util.keystr(path): name for path, (name, _) in zip(paths, named, strict=True)}
    arrays = {bracketed.get(name, name): array for name, array in arrays.items()}
    return _fitted(arrays, like, [(name, name, None) for name, _ in named], ())


def from_torch(arrays: Arrays, like: Params, *, ignored: Iterable[str] = ()) -> Params:
    """Parameters of a network whose modules are named as torch's, from `read`, in the structure of `like`.

    Args:
        ignored: beginnings of names that the network has no use for.
    Raises: ValueError that names the first array which is missing, left over, of another shape, or not finite.
    """
    rules = []
    for name, leaf in _named(like):
        module, _, kind = name.removeprefix("params.").rpartition(".")
        axes = {2: (1, 0), 4: (2, 3, 1, 0)}[leaf.ndim] if kind == "kernel" else None
        kind = "weight" if kind in ("kernel", "scale") else kind
        rules.append((name, f"{module}.{kind}" if module else kind, axes))
    return _fitted(arrays, like, rules, tuple(ignored))


def _named(params: Params) -> list[tuple[str, Any]]:
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return [(jax.tree_util.keystr(path, simple=True, separator="."), leaf) for path, leaf in leaves]


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
        with np.errstate(over="ignore"):  # told in the next line, by name
            found.append(jax.numpy.asarray(array, leaf.dtype))
        if known(found[-1]) and not np.isfinite(np.asarray(found[-1])).all():
            raise ValueError(f"weights that are not finite in {leaf.dtype}: {name!r}")
    if left:
        raise ValueError(f"weights of another network: {left[0]!r} has no place here")
    return jax.tree.unflatten(treedef, found)
