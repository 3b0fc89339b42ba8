"""Pixels of any kind as bytes, 0..255: what the numbers of an array mean is read off their type and range, and told.

booleans 0, 1 | bytes and other integers in 0..255, as they are | uint16 in 0..65535, / 257 |
floats in [0, 1], [-1, 1] or [0, 255]
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

_ROWS = 1024  # images converted together: the bound on memory


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


def to_bytes(parts: Sequence[np.ndarray], name: str) -> tuple[list[UInt8[np.ndarray, "..."]], str]:
    """Arrays of one set, whose numbers mean the same in all of them, as bytes; and a line that says how they were read.

    Bytes are given back as they are, a memory map included.

    Raises: ValueError for numbers in no range of the list above, or that are not finite.
    """
    kinds = {part.dtype.kind for part in parts}
    if kinds <= {"b"}:
        return [part.astype(np.uint8) * np.uint8(255) for part in parts], "booleans read as black and white"
    if all(part.dtype == np.uint8 for part in parts):
        return list(parts), ""
    if not kinds <= {"i", "u", "f"} or (kinds & {"f"} and kinds != {"f"}):
        raise ValueError(f"{name}: pixels must be numbers of one kind, got {_types(parts)}")
    low, high = min(float(part.min()) for part in parts), max(float(part.max()) for part in parts)
    ends = _range(kinds, parts, low, high)
    if ends is None:
        raise ValueError(
            f"{name}: pixels must be finite, and integers in 0..255, uint16, or floats in [0, 1], [-1, 1] or [0, 255]; "
            f"got {_types(parts)} in {low:g}..{high:g}"
        )
    black, white = ends
    return [_scaled(part, black, white) for part in parts], f"{_types(parts)} pixels read as {black} to {white}"


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


def _scaled(x: np.ndarray, black: int, white: int) -> np.ndarray:
    out = np.empty(x.shape, np.uint8)
    for i in range(0, len(x), _ROWS):
        out[i : i + _ROWS] = np.round((x[i : i + _ROWS].astype(np.float64) - black) * (255 / (white - black)))
    return out


def _types(parts: Sequence[np.ndarray]) -> str:
    return " and ".join(sorted({part.dtype.name for part in parts}))
