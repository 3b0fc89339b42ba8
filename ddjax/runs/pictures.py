"""Samples as pictures, with numpy and Pillow alone: bytes, and a grid of them in one PNG file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ddjax.files import replacing

_SHOWN, _COLUMNS = 100, 10  # samples in a grid, and in its rows
_SIDE = 64  # pixels that a sample's shorter side is magnified to, by whole factors


def are_images(shape: Sequence[int]) -> bool:
    """Whether samples of a shape are images [h, w, 1 or 3]."""
    return len(shape) == 3 and shape[2] in (1, 3)


def pixels(x_0: np.ndarray) -> np.ndarray:
    """Samples in [-1, 1] as bytes, clipped and rounded: 127.5 (x + 1)."""
    return np.clip(np.round((x_0.astype(np.float32) + 1) * 127.5), 0, 255).astype(np.uint8)


def grid(images: np.ndarray, columns: int) -> np.ndarray:
    """The first images in rows, a grey line between them; what a last row lacks is grey too."""
    shown = images[:_SHOWN]
    scale = max(_SIDE // min(shown.shape[1:3]), 1)
    framed = np.pad(shown.repeat(scale, 1).repeat(scale, 2), ((0, -len(shown) % columns), (0, 2), (0, 2), (0, 0)),
                    constant_values=128)  # fmt: skip
    framed[len(shown) :] = 128
    n, h, w, c = framed.shape
    return framed.reshape(n // columns, columns, h, w, c).swapaxes(1, 2).reshape(n // columns * h, columns * w, c)


def write(path: Path, images: np.ndarray, classes: int) -> None:
    """A grid as a PNG file, all or nothing; a column for each class where that gives 2 to 16 of them."""
    from PIL import Image

    shown = grid(images, classes if 2 <= classes <= 16 else _COLUMNS)
    with replacing(path) as file:
        Image.fromarray(shown.squeeze(-1) if shown.shape[-1] == 1 else shown).save(file, format="PNG")
