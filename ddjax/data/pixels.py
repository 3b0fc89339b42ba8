"""Pixels of any kind as bytes, 0..255: what the numbers of an array mean is read off their type and range, and told.

booleans 0, 1 | bytes and other integers in 0..255, as they are | uint16 in 0..65535, / 257 |
floats in [0, 1], [-1, 1] or [0, 255]
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8

from ddjax.data import bounds

_TOGETHER = 2**24  # numbers converted together: the bound on memory
_LOOKED_AT = 2**26  # bytes that are looked at of an array that is too large to be read whole


class Scaled:
    """The bytes of an array on disk, [n, h, w, c], made of its numbers where they are read: of the rows that are asked for."""

    dtype, ndim = np.dtype(np.uint8), 4

    def __init__(self, x: np.ndarray, black: int, white: int, name: str):
        self._x, self._black, self._white, self._name = x, black, white, name
        self.shape, self.nbytes = x.shape, math.prod(x.shape)

    def __len__(self) -> int:
        return len(self._x)

    def __getitem__(self, rows: Any) -> UInt8[np.ndarray, "..."]:
        """Raises: ValueError for a number out of the range that the others have, or that is not finite."""
        found = np.asarray(self._x[rows])
        inside = (found >= self._black) & (found <= self._white)
        if not inside.all():
            bad = found[~inside][0]
            raise ValueError(
                f"{self._name}: pixels lie in {self._black}..{self._white}, and one of an image is {bad:g}"
            )
        return _scaled(found, self._black, self._white)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:] if dtype is None else self[:].astype(dtype)


def images(x: np.ndarray, name: str) -> np.ndarray:
    """The array as [n, h, w, c] with 1 or 3 channels, a view; channels may come last, or first as in torch.

    Raises: ValueError for anything else, a single image included.
    """
    told = f"{name} must be [n, h, w], [n, h, w, c] or [n, c, h, w] with 1 or 3 channels, got {x.dtype} {list(x.shape)}"
    if x.ndim == 2:
        raise ValueError(f"{told}: reshape rows to images")
    if x.ndim not in (3, 4) or 0 in x.shape:
        raise ValueError(told)
    if x.ndim == 3 and (x.shape[2] in (3, 4) and min(x.shape[:2]) >= 8):
        raise ValueError(f"{told}: this looks like a single image")
    if x.ndim == 3:
        return x[..., None]
    if x.shape[3] in (1, 3):
        return x
    if x.shape[1] in (1, 3):
        return np.moveaxis(x, 1, 3)
    raise ValueError(told)


def to_bytes(
    parts: Sequence[np.ndarray], name: str, largest: int = bounds.LARGEST
) -> tuple[list[UInt8[np.ndarray, "..."] | Scaled], str]:
    """Arrays of one set, whose numbers mean the same in all of them, as bytes; and a line that says how they were read.

    Bytes are given back as they are, a memory map included. What would fill more than `largest` bytes stays on disk: its range
    is that of `some_rows`, and the others are held against it when they are read.

    Raises: ValueError for numbers in no range of the list above, or that are not finite.
    """
    kinds = {part.dtype.kind for part in parts}
    if all(part.dtype == np.uint8 for part in parts):
        return list(parts), ""
    if kinds <= {"b"}:
        return [_in_bytes(part, 0, 1, name, largest) for part in parts], "booleans read as black and white"
    if not kinds <= {"i", "u", "f"} or (kinds & {"f"} and kinds != {"f"}):
        raise ValueError(f"{name}: pixels must be numbers of one kind, got {_types(parts)}")
    seen = [part[some_rows(part)] if part.size > largest else part for part in parts]
    extremes = [(float(piece.min()), float(piece.max())) for part in seen for piece in _pieces(part)]
    low, high = (float(end(values)) for end, values in zip((np.min, np.max), zip(*extremes, strict=True), strict=True))
    ends = _range(kinds, parts, low, high)
    if ends is None:
        raise ValueError(
            f"{name}: pixels must be finite, and integers in 0..255, uint16, or floats in [0, 1], [-1, 1] or [0, 255]; "
            f"got {_types(parts)} in {low:g}..{high:g}"
        )
    black, white = ends
    read = [_in_bytes(part, black, white, name, largest) for part in parts]
    return read, f"{_types(parts)} pixels read as {black} to {white}"


def some_rows(x: np.ndarray | Scaled) -> np.ndarray:
    """Rows to know a large array by: up to 256 of them, always the same, drawn without replacement."""
    row = max(x.nbytes // len(x), 1)
    n = min(len(x), 256, max(_LOOKED_AT // row, 1))
    return np.sort(np.random.default_rng(0).choice(len(x), n, replace=False, shuffle=False))


def _range(kinds: set[str], parts: Sequence[np.ndarray], low: float, high: float) -> tuple[int, int] | None:
    """The values of black and white."""
    if not (np.isfinite(low) and np.isfinite(high)):
        return None
    if kinds == {"f"}:
        ranges = ((0, 1), (-1, 1), (0, 255))
    elif all(part.dtype == np.uint16 for part in parts):
        ranges = ((0, 255), (0, 65535))
    else:
        ranges = ((0, 255),)
    return next(((a, b) for a, b in ranges if a <= low and high <= b), None)


def _in_bytes(x: np.ndarray, black: int, white: int, name: str, largest: int) -> np.ndarray | Scaled:
    return Scaled(x, black, white, name) if x.size > largest else _scaled(x, black, white)


def _scaled(x: np.ndarray, black: int, white: int) -> np.ndarray:
    out, done = np.empty(x.shape, np.uint8), 0
    for piece in _pieces(x):
        out[done : done + len(piece)] = np.round((piece.astype(np.float64) - black) * (255 / (white - black)))
        done += len(piece)
    return out


def _pieces(x: np.ndarray) -> Iterator[np.ndarray]:
    rows = max(_TOGETHER * len(x) // x.size, 1)
    return (x[i : i + rows] for i in range(0, len(x), rows))


def _types(parts: Sequence[np.ndarray]) -> str:
    return " and ".join(sorted({part.dtype.name for part in parts}))
