"""One door to all sets of images: a name, or a path whose content tells what it is."""

from pathlib import Path

from ddjax.data import arrays, bounds, cache, cifar, digits, folders, glyphs, idx, photos
from ddjax.data.folders import Folder
from ddjax.data.images import Images, Split

EMBEDDED = ("digits", "glyphs", "photos")
FETCHED = ("mnist", "fashion_mnist", "cifar10")


def load(
    source: str | Path,
    split: Split = "train",
    *,
    size: int | None = None,
    seed: int = 0,
    largest: int = bounds.LARGEST,
) -> Images | Folder:
    """The images that a name or a path stands for.

    Args:
        source: digits, glyphs, photos; mnist, fashion_mnist, cifar10, once fetched into the cache; or a path to a .npz or
            .npy file, a CIFAR-10 archive, or a folder of IDX files, of CIFAR-10's .bin files, of x.npy (and labels.npy), or
            of images. A folder with `train` and `test` in it keeps its own split.
        size: side of the images, for a folder of images of several sizes.
        seed: of the draws of glyphs and photos and of the split where a set has none.
        largest: bytes of pixels; a folder of images beyond it is left on disk, to be streamed as the `Folder` returned.
    Raises: ValueError for content that is damaged or unknown; FileNotFoundError where there is nothing.
    """
    if source == "digits":
        return digits.digits(split, seed=seed)
    if source == "glyphs":
        return glyphs.glyphs(split, seed=seed)
    if source == "photos":
        return photos.photos(split, seed=seed)
    path = cache.folder() / source if source in FETCHED else Path(source).expanduser()
    if not path.exists():
        raise FileNotFoundError(_missing(source, path))
    if path.is_file():
        return _file(path, split, seed)
    own = (path / "train").is_dir() and (path / "test").is_dir()
    found = _folder(
        path / split if own else path, split, size=size, every=0 if own else 10, seed=seed, name=path.resolve().name
    )
    return folders.read(found) if isinstance(found, Folder) and found.nbytes <= largest else found


def _missing(source: str | Path, path: Path) -> str:
    if source in FETCHED:
        return f"{source} is not in {path}: fetch it with `python -m experiments.fetch {source}`, or give its path"
    return f"{source!s} is neither a file, a folder, nor one of {', '.join(EMBEDDED + FETCHED)}"


def _file(path: Path, split: Split, seed: int) -> Images:
    with open(path, "rb") as file:
        magic = file.read(6)
    if magic[:2] == b"PK":
        return arrays.npz(path, split, seed=seed)
    if magic == b"\x93NUMPY":
        return arrays.npy(path, split)
    if magic[:2] == b"\x1f\x8b" and path.name.endswith((".tar.gz", ".tgz")):
        return cifar.cifar10(path, split)
    raise ValueError(f"{path} is not a .npz, .npy or CIFAR-10 .tar.gz file; give the folder of IDX or image files")


def _folder(path: Path, split: Split, *, size: int | None, every: int, seed: int, name: str) -> Images | Folder:
    if idx.is_idx(path):
        return idx.idx(path, split)
    if cifar.locate(path):
        return cifar.cifar10(path, split)
    if (path / "x.npy").is_file():
        return arrays.npy(path / "x.npy", split, every=every)
    return folders.scan(path, split, size=size, every=every, seed=seed, name=name)
