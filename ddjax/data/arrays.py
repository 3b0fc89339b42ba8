"""Sets of arrays on disk: a .npz file, or .npy files as memory maps."""

import warnings
from pathlib import Path

import numpy as np

from ddjax.data import bounds, labels, names, pixels
from ddjax.data import npz as files
from ddjax.data.images import Images, Split, divided, require_no_share


def npz(path: Path, split: Split = "train", *, every: int | None = None, seed: int = 0) -> Images:
    """A set from a .npz file, its arrays named as `names` lists them: images as `pixels` reads them, labels as `labels`.

    Args:
        every: one row in so many (default: 10) of each class is held out, of a file that has no split of its own.
    Raises: ValueError for a file that is not such a set, is damaged, or would inflate beyond measure.
    """
    return _images(files.read(path), path, split, path.stem, every, seed)


def npy(
    path: Path, split: Split = "train", *, every: int | None = None, seed: int = 0, largest: int = bounds.LARGEST
) -> Images:
    """A set from a .npy file and the labels beside it, or from the .npy files of a folder.

    Bytes stay on disk; other numbers do where their images fill more than `largest`, and become bytes as they are read.

    A folder holds x.npy and perhaps labels.npy, or other names that .npz files may use, or folders train and test with them.

    Args:
        every: as for `npz`; what is left is then read into memory.
        largest: bytes of pixels that may be read into memory at once.
    Raises: ValueError for files that are not such a set, are damaged, or are too large to be divided.
    """
    found = _beside(path) if path.is_file() else _inside(path)
    home = path.parent if path.stem.lower() in names.IMAGES else path
    return _images(
        {name: files.mapped(file) for name, file in found.items()}, path, split, home.stem, every, seed, largest
    )


def holds(folder: Path) -> bool:
    """Whether a folder is a set of .npy files."""
    return any(names.is_images(name) for name in _inside(folder))


def _beside(path: Path) -> dict[str, Path]:
    """The file, and the one beside it that has its labels."""
    found = (path.with_name(f"{name}.npy") for name in names.LABELS)
    return {"x": path} | {file.stem: file for file in found if file.is_file() and file != path}


def _inside(folder: Path) -> dict[str, Path]:
    """The .npy files of a folder and of its splits, named as arrays of a .npz file."""
    train, test = names.splits(entry.name for entry in folder.iterdir() if entry.is_dir())
    found = {}
    for split in ("", train, test):
        if split is not None:
            files = sorted(file for file in (folder / split).glob("*.npy") if not file.name.startswith("."))
            found |= {f"{split}_{file.stem}" if split else file.stem: file for file in files}
    return found


def _images(
    found: dict[str, np.ndarray],
    path: Path,
    split: Split,
    name: str,
    every: int | None,
    seed: int,
    largest: int = bounds.LARGEST,
) -> Images:
    try:
        layout = names.layout(found)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if layout.unknown:
        shapes = names.several(f"{key} {found[key].dtype} {list(found[key].shape)}" for key in layout.unknown)
        warnings.warn(f"{path}: not used, because the names say nothing: {shapes}", stacklevel=2)
    pairs = [layout.train] + ([layout.test] if layout.test else [])
    shaped = [pixels.images(found[pair.images], f"{path}: {pair.images}") for pair in pairs]
    if len({x.shape[1:] for x in shaped}) > 1:
        raise ValueError(f"{path}: images of both splits must have one shape, got {[list(x.shape) for x in shaped]}")
    if layout.test:
        require_no_share(every, path)
    elif isinstance(shaped[0], np.memmap) and shaped[0].size > largest:
        raise ValueError(
            f"{path} has {shaped[0].size:,} bytes of pixels, more than the {largest:,} that are read to be divided: keep the "
            "test images in a file of their own, train/x.npy and test/x.npy"
        )
    parts, told = pixels.to_bytes(shaped, str(path), largest)
    given = [found[pair.labels] for pair in pairs if pair.labels]
    named = found[layout.classes] if layout.classes else None
    numbers, classes = labels.numbered(given, [len(x) for x in parts], str(path), named) if given else (None, ())
    labels.warn_of_alike(classes, str(path))
    notes = [told] if told else []
    if layout.unused:
        notes.append(f"not used: {', '.join(layout.unused)}")
    if layout.test:
        k = ("train", "test").index(split)
        if numbers:
            labels.warn_of_absent(classes, *numbers, str(path))
        return Images(parts[k], numbers and numbers[k], classes, split, name, notes=tuple(notes))
    of_classes = {"seed": seed, "name": str(path), "classes": classes}
    rows, note = divided(numbers and numbers[0], len(parts[0]), split, every=every, **of_classes)
    kept = numbers[0][rows] if numbers else None
    return Images(np.asarray(parts[0][rows]), kept, classes, split, name, notes=(*notes, note))
