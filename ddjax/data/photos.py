"""Crops of the photographs that come with scikit-learn and scikit-image, read from their files: nothing is downloaded.

A photograph is cut in two before it is made smaller, so that no pixel of it, not even through a filter, is in both splits.
The two regions show different things (a cup, its table), so the distance between the splits is large by nature.
"""

import importlib.util
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from ddjax.data.images import Images, Split
from ddjax.inputs import checked_count

HEIGHT = 96  # of the photograph's shorter side, in pixels, when crops are taken


class Photo(NamedTuple):
    """Where a photograph lies, and whom to thank for it."""

    package: str
    path: str
    credit: str


PHOTOS = {
    "china": Photo("sklearn", "datasets/images/china.jpg", "danielbuechele, CC BY 2.0"),
    "flower": Photo("sklearn", "datasets/images/flower.jpg", "vultilion, CC BY 2.0"),
    "astronaut": Photo("skimage", "data/astronaut.png", "NASA, public domain"),
    "chelsea": Photo("skimage", "data/chelsea.png", "Stefan van der Walt, CC0"),
    "coffee": Photo("skimage", "data/coffee.png", "Rachel Michetti, CC0"),
    "rocket": Photo("skimage", "data/rocket.jpg", "SpaceX, public domain"),
    "hubble_deep_field": Photo("skimage", "data/hubble_deep_field.jpg", "NASA, public domain"),
    "retina": Photo("skimage", "data/retina.jpg", "Mikael Häggström, CC0"),
}


def photos(split: Split = "train", *, n: int | None = None, size: int = 32, seed: int = 0) -> Images:
    """n crops (16,384 to train, 2,048 to test) of size x size x 3 at random places, as many of each photograph.

    The label is the photograph. Where scikit-image is not installed the two of scikit-learn are left.

    Raises: ValueError for n < 1 or a crop that does not fit.
    """
    count = {"train": 16_384, "test": 2_048}[split] if n is None else checked_count(n, "n")
    found = {name: path for name, photo in PHOTOS.items() if (path := _path(photo))}
    rng = np.random.default_rng([seed, split == "test"])
    labels = rng.permutation(np.arange(count) % len(found)).astype(np.int32)
    x = np.empty((count, size, size, 3), np.uint8)
    for label, path in enumerate(found.values()):
        rows = np.flatnonzero(labels == label)
        x[rows] = crops(_read(path), split, len(rows), size, rng)
    credits = "; ".join(f"{name}: {PHOTOS[name].credit}" for name in found)
    return Images(x, labels, tuple(found), split, "photos", flip=True, attribution=credits)


def regions(height: int, width: int) -> dict[Split, tuple[slice, slice]]:
    """Rows and columns of the splits: three fifths of the longer side to train, the rest to test."""
    if width >= height:
        cut = width * 3 // 5
        return {"train": (slice(0, height), slice(0, cut)), "test": (slice(0, height), slice(cut, width))}
    cut = height * 3 // 5
    return {"train": (slice(0, cut), slice(0, width)), "test": (slice(cut, height), slice(0, width))}


def crops(photo: UInt8[np.ndarray, "h w 3"], split: Split, n: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """n crops at uniform places of the split's region, which is made smaller by itself.

    Raises: ValueError for a size that the region cannot hold.
    """
    from PIL import Image

    height, width, _ = photo.shape
    region = Image.fromarray(photo[regions(height, width)[split]])
    scale = HEIGHT / min(height, width)
    small = region.resize([round(side * scale) for side in region.size], Image.Resampling.LANCZOS)
    if min(small.size) < size:
        raise ValueError(f"photos: crops fit in {small.width} x {small.height} pixels, got {size=}")
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(small), (size, size), axis=(0, 1))
    rows, columns = (rng.integers(0, windows.shape[axis], n) for axis in (0, 1))
    return np.moveaxis(windows[rows, columns], 1, -1)


def _path(photo: Photo) -> Path | None:
    """The file in the installed package, which is looked up and not imported."""
    spec = importlib.util.find_spec(photo.package)
    folders = spec.submodule_search_locations if spec else None
    path = Path(folders[0]) / photo.path if folders else None
    return path if path and path.is_file() else None


def _read(path: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
