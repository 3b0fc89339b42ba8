"""One door to all sets of images: a name, or a path whose content tells what it is."""

from pathlib import Path

from ddjax.data import arrays, bounds, cache, cifar, digits, folders, glyphs, idx, npz, photos
from ddjax.data.folders import Folder
from ddjax.data.images import Images, Split

EMBEDDED = ("digits", "glyphs", "photos")
FETCHED = ("mnist", "fashion_mnist", "cifar10")


def load(
    source: str | Path,
    split: Split = "train",
    *,
    size: int | None = None,
    every: int = 10,
    seed: int = 0,
    largest: int = bounds.LARGEST,
    skip_unreadable: bool = False,
) -> Images | Folder:
    """The images that a name or a path stands for.

    Args:
        source: digits, glyphs, photos; mnist, fashion_mnist, cifar10, once fetched into the cache; or a path: a .npz or .npy
            file (see `arrays` and `names`), a CIFAR-10 archive or file of records, or a folder of IDX files, of CIFAR-10's
            .bin files, of .npy files, or of images (see `listing`). A set with splits keeps them.
        size: side of the images, for a folder of images of several sizes.
        every: of a path's set without splits of its own, one image in so many is held out, in all classes alike.
        seed: of the draws of glyphs and photos and of the split where a set has none.
        largest: bytes of pixels; a folder of images beyond it is left on disk, to be streamed as the `Folder` returned.
        skip_unreadable: leave out image files of a folder that cannot be decoded, in place of an error that names them.
    Raises: ValueError for content that is damaged or unknown; FileNotFoundError where there is nothing.
    """
    if source == "digits":
        return digits.digits(split, seed=seed)
    if source == "glyphs":
        return glyphs.glyphs(split, seed=seed)
    if source == "photos":
        return photos.photos(split, seed=seed)
    path = cache.folder() / source if source in FETCHED else Path(source).expanduser()
    if not str(source):
        raise FileNotFoundError(_missing("''", path))
    if not path.is_dir():
        try:
            bounds.require_file(path)
        except FileNotFoundError:
            raise FileNotFoundError(_missing(source, path)) from None
        return _file(path, split, every, seed, largest)
    if idx.is_idx(path):
        return idx.idx(path, split)
    if cifar.locate(path):
        return cifar.cifar10(path, split)
    if arrays.holds(path):
        return arrays.npy(path, split, every=every, seed=seed, largest=largest)
    found = folders.scan(path, split, size=size, every=every, seed=seed, skip_unreadable=skip_unreadable)
    return folders.read(found) if found.nbytes <= largest else found


def _missing(source: str | Path, path: Path) -> str:
    if source in FETCHED:
        return f"{source} is not in {path}: fetch it with `ddjax fetch {source}`, or give its path"
    return f"{source!s} is neither a file, a folder, nor one of {', '.join(EMBEDDED + FETCHED)}"


def _file(path: Path, split: Split, every: int, seed: int, largest: int) -> Images:
    with open(path, "rb") as file:
        magic = file.read(6)
    if magic[:2] == b"PK":
        return arrays.npz(path, split, every=every, seed=seed)
    if magic == npz.MAGIC:
        return arrays.npy(path, split, every=every, seed=seed, largest=largest)
    if magic[:2] == b"\x1f\x8b" and path.name.endswith((".tar.gz", ".tgz")):
        return cifar.cifar10(path, split)
    if path.suffix == ".bin" and path.stat().st_size % cifar.RECORD == 0:
        return cifar.records(path, split, every=every, seed=seed)
    raise ValueError(f"{path} is not a .npz, .npy or CIFAR-10 .tar.gz file; give the folder of IDX or image files")
