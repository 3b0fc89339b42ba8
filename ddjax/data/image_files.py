"""One image file: its header, and its pixels as bytes, upright, without alpha.

Deep pixels keep their high bits: 16 bits v become v / 257, floats in [0, 1] become 255 v. What is transparent shows the
BACKGROUND, white. Of a file with several pictures the first is read.
"""

import mmap
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from ddjax.data import bounds

# formats that Pillow decodes without an interpreter (EPS)
FORMATS = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".bmp": "BMP", ".gif": "GIF",
    ".webp": "WEBP", ".ppm": "PPM", ".pgm": "PPM", ".pbm": "PPM", ".pnm": "PPM", ".tif": "TIFF", ".tiff": "TIFF",
}  # fmt: skip
GREY = ("1", "L", "LA", "I;16", "I;16B", "I;16L", "I", "F")
COLOUR = ("P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
BACKGROUND = "white"
LARGEST = 2**26  # pixels of one file
_ORIENTATION, _ON_ITS_SIDE = 0x0112, (5, 6, 7, 8)  # tag and values of EXIF
_EXIF = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")  # where a PNG's header may tell it


class _Strict:
    """While any image is read, Pillow takes a truncated one for an error, whatever another library has told it."""

    def __init__(self):
        self._lock, self._readers, self._before = threading.Lock(), 0, False

    def __enter__(self) -> None:
        from PIL import ImageFile

        with self._lock:
            if not self._readers:
                self._before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
            self._readers += 1

    def __exit__(self, *_: object) -> None:
        from PIL import ImageFile

        with self._lock:
            self._readers -= 1
            if not self._readers:
                ImageFile.LOAD_TRUNCATED_IMAGES = self._before


_STRICT = _Strict()


class Header(NamedTuple):
    """What is known of an image before its pixels are decoded."""

    width: int
    height: int
    grey: bool
    several: bool  # pictures: an animation or pages


def header(path: Path) -> Header:
    """The size of an image as it is shown, and its kind. Raises: ValueError for a file that cannot be read, by name."""
    with _open(path) as image:
        width, height = image.size[::-1] if _on_its_side(image) else image.size
        pages = image.format == "TIFF" and image.tag_v2.next != 0
        moving = image.format in ("GIF", "WEBP", "PNG") and getattr(image, "is_animated", False)
        return Header(width, height, image.mode in GREY, bool(pages or moving))


def decode(path: Path, shape: tuple[int, int, int], *, fit: bool) -> UInt8[np.ndarray, "h w c"]:
    """The pixels of an image in this shape.

    Args:
        fit: crop the middle and scale it; without it the image must have the size already.
    Raises: ValueError for a file that cannot be read, by name.
    """
    from PIL import Image, ImageOps

    height, width, channels = shape
    with _open(path) as image:
        pixels = _flat(image).convert("L" if channels == 1 else "RGB")
        if fit:
            pixels = ImageOps.fit(pixels, (width, height), Image.Resampling.LANCZOS)
        if pixels.size != (width, height):
            raise ValueError(f"it is {pixels.width} x {pixels.height}, not {width} x {height}")
        return np.asarray(pixels).reshape(shape)


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """The image, its pixels not decoded yet. Raises: ValueError with the name of the file, here and while it is open."""
    from PIL import Image

    try:
        bounds.require_file(path)
        # a map gives no more than it has, where a file first makes room for all that a damaged header asks for
        with _STRICT, open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's own bound is a warning; ours, below, is an error
                image = Image.open(content, formats=sorted(set(FORMATS.values())))
            if image.width * image.height > LARGEST:
                raise ValueError(f"{image.width} x {image.height} is more than {LARGEST:,} pixels")
            if image.mode not in GREY + COLOUR:
                raise ValueError(f"pixels of mode {image.mode} are not read, allowed are {', '.join(GREY + COLOUR)}")
            yield image
    except Exception as error:  # a decoder that meets a damaged file may raise anything
        raise ValueError(f"cannot read the image {path}: {error or type(error).__name__}") from None


def _on_its_side(image: Any) -> bool:
    if image.format == "TIFF":
        return False  # Pillow gives the size of the upright image
    if image.format == "PNG" and not any(name in image.info for name in _EXIF):
        return False  # asking for it would decode the image
    return image.getexif().get(_ORIENTATION) in _ON_ITS_SIDE


def _flat(image: Any) -> Any:
    """The image upright, its pixels bytes, on the background."""
    from PIL import Image, ImageOps

    deep = image.mode if image.mode.startswith("I") or image.mode == "F" else ""
    if image.mode == "I" and image.format == "TIFF":
        raise ValueError("whole numbers of 32 bits have no black and white: save 8 or 16 bits")
    image = ImageOps.exif_transpose(image)
    if deep:
        return Image.fromarray(_bytes(np.asarray(image), 1.0 if deep == "F" else 65535.0))
    if not image.has_transparency_data:
        return image
    shown = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", shown.size, BACKGROUND), shown)


def _bytes(pixels: np.ndarray, white: float) -> UInt8[np.ndarray, "h w"]:
    if not (pixels.min() >= 0 and pixels.max() <= white):  # nor what is not a number
        raise ValueError(f"pixels must lie in 0..{white:g}, got {pixels.min():g}..{pixels.max():g}")
    return np.round(pixels.astype(np.float64) * (255 / white)).astype(np.uint8)
