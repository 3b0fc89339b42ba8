"""One door to all sets of images: a name, or a path whose content tells what it is."""

from pathlib import Path
from typing import Any

from ddjax.data import arrays, bounds, cache, cifar, digits, folders, glyphs, idx, image_files, npz, photos
from ddjax.data.folders import Folder
from ddjax.data.images import Images, Split, require_no_share

EMBEDDED = ("digits", "glyphs", "photos")
FETCHED = ("mnist", "fashion_mnist", "cifar10")
_DRAWN = dict(zip(EMBEDDED, (digits.digits, glyphs.glyphs, photos.photos), strict=True))
_ARRAYS = "save its images and labels by numpy.savez('images.npz', x=images, y=labels), and give that file"
_INSTEAD = {  # what to do with files of other kinds, by how they end
    ".zip .tar .gz .tgz .bz2 .xz .7z .rar": "unpack it, and give the folder",
    " ".join(image_files.FORMATS): "give the folder that it lies in",
    ".csv .tsv .txt .xls .xlsx .parquet .feather": f"of a table of pixels {_ARRAYS}; a table of points needs no command: "
    "docs/how-to/data.md, points and vectors",
}


def load(
    source: str | Path,
    split: Split = "train",
    *,
    size: int | None = None,
    every: int | None = None,
    seed: int = 0,
    largest: int = bounds.LARGEST,
    skip_unreadable: bool = False,
    follow_links: bool = False,
) -> Images | Folder:
    """The images that a name or a path stands for.

    Args:
        source: digits, glyphs, photos; mnist, fashion_mnist, cifar10, once fetched into the cache; or a path: a .npz or .npy
            file (see `arrays` and `names`), a CIFAR-10 archive or file of records, or a folder of IDX files, of CIFAR-10's
            .bin files, of .npy files, or of images (see `listing`). A set with splits keeps them.
        size: side of the images, for a folder of images of several sizes.
        every: of a path's set without splits of its own, one image in so many is held out, in all classes alike (default: 10).
        seed: of the draws of glyphs and photos and of the split where a set has none.
        largest: bytes of pixels; a folder of images beyond it is left on disk, to be streamed as the `Folder` returned, and
            so are numbers other than bytes of .npy files.
        skip_unreadable: leave out image files of a folder that cannot be decoded, in place of an error that names them.
        follow_links: read what links out of a folder of images lead to, too, as DVC, git-annex and caches of hubs make them.
    Raises: ValueError for content that is damaged or unknown, or an argument that has no effect on such a set;
        FileNotFoundError where there is nothing.
    """
    of_files = {"size": size, "skip_unreadable": skip_unreadable, "follow_links": follow_links}
    if source in _DRAWN:
        _require_not_given(source, of_files)
        require_no_share(every, source)
        return _DRAWN[source](split, seed=seed)
    path = cache.folder() / source if source in FETCHED else Path(source).expanduser()
    if not str(source):
        raise FileNotFoundError(_missing("''", path))
    if not path.is_dir():
        try:
            bounds.require_file(path)
        except FileNotFoundError:
            raise FileNotFoundError(_missing(source, path)) from None
        _require_not_given(path, of_files)
        return _file(path, split, every, seed, largest)
    whole = idx.idx if idx.is_idx(path) else cifar.cifar10 if cifar.locate(path) else None
    if whole is not None or arrays.holds(path):
        _require_not_given(path, of_files)
    if whole is not None:
        require_no_share(every, path)
        return whole(path, split)
    if arrays.holds(path):
        return arrays.npy(path, split, every=every, seed=seed, largest=largest)
    found = folders.scan(path, split, every=every, seed=seed, **of_files)
    return folders.read(found) if found.nbytes <= largest else found


def _require_not_given(source: str | Path, of_files: dict[str, Any]) -> None:
    """Raises: ValueError for what is asked of image files, where there are none."""
    if given := [f"{name}={value}" for name, value in of_files.items() if value]:
        raise ValueError(f"{given[0]} has no effect: {source!s} is not a folder of image files")


def _missing(source: str | Path, path: Path) -> str:
    if source in FETCHED:
        return f"{source} is not in {path}: fetch it with `ddjax fetch {source}`, or give its path"
    return f"{source!s} is neither a file, a folder, nor one of {', '.join(EMBEDDED + FETCHED)}"


def _file(path: Path, split: Split, every: int | None, seed: int, largest: int) -> Images:
    with open(path, "rb") as file:
        magic = file.read(6)
    if magic[:2] == b"PK" and path.suffix.lower() != ".zip":
        return arrays.npz(path, split, every=every, seed=seed)
    if magic == npz.MAGIC:
        return arrays.npy(path, split, every=every, seed=seed, largest=largest)
    if magic[:2] == b"\x1f\x8b" and path.name.endswith((".tar.gz", ".tgz")):
        require_no_share(every, path)
        return cifar.cifar10(path, split)
    if path.suffix == ".bin" and path.stat().st_size % cifar.RECORD == 0:
        return cifar.records(path, split, every=every, seed=seed)
    instead = next((told for endings, told in _INSTEAD.items() if path.suffix.lower() in endings.split()), _ARRAYS)
    raise ValueError(f"{path} is not a .npz, .npy or CIFAR-10 .tar.gz file; {instead}")
