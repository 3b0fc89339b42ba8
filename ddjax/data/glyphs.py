"""Printed digits, 28 x 28 with one channel, drawn from the fonts that matplotlib ships, each bent at random.

    place in the glyph = A^-1 (place in the image - centre - shift),   A = scale . rotation . shear     (A)

Not MNIST: nobody wrote these. They have its sizes (60,000 and 10,000) and ask for the same networks. The splits share the
fonts and differ in every draw.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from ddjax.data import cache
from ddjax.data.digits import DIGITS
from ddjax.data.images import Images, Split
from ddjax.inputs import checked_count

SIDE = 28
FONTS = (  # those of matplotlib whose digits stand on the line and look like digits
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    *(f"cm{style}10" for style in ("r", "b", "ss", "ti", "tt")),
)
STROKES = (0, 2, 4)  # pixels added around a glyph on the canvas it is drawn on
CANVAS, TALL = 160, 96  # side of that canvas and height of the digits on it
ATTRIBUTION = "digits of the DejaVu, STIX and Computer Modern fonts in matplotlib"


def glyphs(split: Split = "train", *, n: int | None = None, seed: int = 0) -> Images:
    """n digits (60,000 to train, 10,000 to test), as many of each class; made once and kept in the cache.

    Raises: ValueError for n < 1.
    """
    count = {"train": 60_000, "test": 10_000}[split] if n is None else checked_count(n, "n")
    return cache.kept(f"glyphs-1-{split}-{count}-{seed}.npz", lambda: _make(split, count, seed))


def _make(split: Split, n: int, seed: int) -> Images:
    rng = np.random.default_rng([seed, split == "test"])
    labels = rng.permutation(np.arange(n) % 10).astype(np.int32)
    masters = _masters()
    fonts, strokes = rng.integers(0, len(FONTS), n), rng.integers(0, len(STROKES), n)
    maps, blur, contrast = _maps(rng, n), rng.uniform(0.0, 0.7, n), rng.uniform(0.7, 1.0, n)
    chosen = (masters[which] for which in zip(fonts, strokes, labels, strict=True))
    x = [_bend(*how) for how in zip(chosen, maps, blur, contrast, strict=True)]
    return Images(np.stack(x)[..., None], labels, DIGITS, split, "glyphs", attribution=ATTRIBUTION)


def _masters() -> dict[tuple[int, int, int], Any]:
    """Every digit of every font and stroke: white on black, centred, of one height."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    made = {}
    for i, name in enumerate(FONTS):
        font = ImageFont.truetype(fonts / f"{name}.ttf", TALL)
        left, top, right, bottom = font.getbbox("0")
        font = font.font_variant(size=TALL * TALL // (bottom - top))
        for j, stroke in enumerate(STROKES):
            for digit in range(10):
                left, top, right, bottom = font.getbbox(str(digit))
                canvas = Image.new("L", (CANVAS, CANVAS))
                place = ((CANVAS - left - right) / 2, (CANVAS - top - bottom) / 2)
                ImageDraw.Draw(canvas).text(place, str(digit), font=font, fill=255, stroke_width=stroke)
                made[i, j, digit] = canvas
    return made


def _maps(rng: np.random.Generator, n: int) -> Float[np.ndarray, "n 2 3"]:
    """Equation (A) for an image of twice the side: where in the master each of its pixels is read."""
    angle, shear = np.radians(rng.uniform(-15, 15, n)), rng.uniform(-0.25, 0.25, n)
    wide, tall = 40 / TALL * rng.uniform([[0.8], [0.85]], [[1.15], [1.1]], (2, n))
    shift = rng.uniform(-3, 3, (n, 2))
    c, s = np.cos(angle), np.sin(angle)
    rotation = np.moveaxis(np.array([[c, -s], [s, c]]), -1, 0)
    forward = rotation @ np.moveaxis(np.array([[wide, shear * wide], [np.zeros(n), tall]]), -1, 0)
    inverse = np.linalg.inv(forward)
    offset = CANVAS / 2 - np.einsum("nij,nj->ni", inverse, SIDE + shift)
    return np.concatenate([inverse, offset[..., None]], -1)


def _bend(master: Any, place: Float[np.ndarray, "2 3"], blur: float, contrast: float) -> UInt8[np.ndarray, "28 28"]:
    from PIL import Image, ImageFilter

    double = (2 * SIDE, 2 * SIDE)
    image = master.transform(double, Image.Transform.AFFINE, place.ravel().tolist(), Image.Resampling.BILINEAR)
    image = image.filter(ImageFilter.GaussianBlur(float(2 * blur))).reduce(2)
    return np.round(np.asarray(image) * contrast).astype(np.uint8)
