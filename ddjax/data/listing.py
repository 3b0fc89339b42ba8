"""The image files below a folder: in its splits, in its classes, in sorted order; and what else lies there, counted.

folder/*.png    folder/CLASS/*.png    folder/train/... and folder/test/..., each of either kind, with one list of classes
"""

import os
import warnings
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ddjax.data import labels, names
from ddjax.data.image_files import FORMATS
from ddjax.data.images import Split

JUNK = (
    "thumbs.db",
    "desktop.ini",
    "__macosx",
    "@eadir",
)  # what systems leave in folders, beside what begins with a dot


class Files(NamedTuple):
    """Files and their classes as numbers, all 0 where there are no classes."""

    paths: list[Path]
    labels: np.ndarray


class Listing(NamedTuple):
    """The files of the splits, or all of them under None where the folder has none; names of the classes; what to tell."""

    splits: dict[Split | None, Files]
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def listing(path: Path, *, follow_links: bool = False) -> Listing:
    """Find the image files; none is opened.

    Args:
        follow_links: read what links out of the folder lead to, too.
    Raises: ValueError for a folder without images, images beside class folders or below them, or links that leave the folder
        or turn in it.
    """
    home, other = None if follow_links else path.resolve(), Counter[str]()
    try:
        train, test = names.splits(entry.name for entry in _entries(path, home) if entry.is_dir())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if train is None:
        parts: dict[Split | None, Path] = {None: path}
    elif test is None:
        parts = {None: path / train}
    else:
        parts = {"train": path / train, "test": path / test}
    found = {split: _classes(folder, home, other) for split, folder in parts.items()}
    classes = tuple(sorted(set().union(*found.values()) - {""}))
    if any("" in inside for inside in found.values()) and classes:
        raise ValueError(f"{path}: one split has images in class folders ({classes[0]!r}), the other has not")
    notes = [f"not images: {names.several(f'{n} {suffix}' for suffix, n in sorted(other.items()))}"] if other else []
    if train is not None:
        notes += _beside(path, home, {train, test})
    splits = {split: _numbered(inside, classes) for split, inside in found.items()}
    labels.warn_of_alike(classes, str(path))
    if classes and "test" in splits:
        labels.warn_of_absent(classes, splits["train"].labels, splits["test"].labels, str(path))
    return Listing(splits, classes, tuple(notes))


def _numbered(inside: dict[str, list[Path]], classes: tuple[str, ...]) -> Files:
    number = {name: k for k, name in enumerate(classes)} or {"": 0}
    sizes = [len(inside[name]) for name in sorted(inside)]
    labels = np.repeat([number[name] for name in sorted(inside)], sizes)
    return Files([file for name in sorted(inside) for file in inside[name]], labels)


def _classes(folder: Path, home: Path | None, other: Counter) -> dict[str, list[Path]]:
    """The files of each class, those of a flat folder under ""."""
    files = _files(folder, home, other)
    inside = {}
    for entry in _entries(folder, home):
        if entry.is_dir():
            _require_flat(entry, follow_links=home is None)
            if of_class := _files(entry, home, other):
                inside[entry.name] = of_class
    if files and inside:
        raise ValueError(
            f"{folder} has images beside the subfolder {next(iter(inside))!r}: either all in classes or none"
        )
    if not files and not inside:
        raise ValueError(f"{folder} has no images: looked for {' '.join(FORMATS)}, in it and one folder below")
    return {"": files} if files else inside


def _require_flat(folder: Path, *, follow_links: bool) -> None:
    """Raises: ValueError for an image more than one folder below."""
    walked = set()
    for inner, folders, files in os.walk(folder, followlinks=follow_links):
        if (real := os.path.realpath(inner)) in walked:
            folders.clear()  # a link that turns
            continue
        walked.add(real)
        if Path(inner) != folder and _visible(Path(inner).relative_to(folder)):
            for file in files:
                if _is_image(Path(inner, file)):
                    raise ValueError(
                        f"{Path(inner, file)} lies below the class folder {folder.name!r}: classes are one folder deep; "
                        f"move it up, or give {folder}"
                    )


def _entries(folder: Path, home: Path | None) -> list[Path]:
    """Visible entries in sorted order. Raises: ValueError for a link out of `home`, where there is one, or to itself."""
    entries = sorted(entry for entry in folder.iterdir() if _visible(Path(entry.name)))
    for entry in entries:
        if not entry.is_symlink():
            continue
        try:
            target = entry.resolve()
        except (OSError, RuntimeError):
            raise ValueError(f"{entry} is a link in a loop") from None
        if home is not None and not target.is_relative_to(home):
            raise ValueError(
                f"{entry} is a link that leaves the folder; follow_links=True reads what such links lead to"
            )
        if target.is_dir() and folder.resolve().is_relative_to(target):
            raise ValueError(f"{entry} is a link to a folder that it lies in")
    return entries


def _files(folder: Path, home: Path | None, other: Counter) -> list[Path]:
    files = [entry for entry in _entries(folder, home) if not entry.is_dir()]
    other.update(file.suffix.lower() or file.name for file in files if not _is_image(file))
    return [file for file in files if _is_image(file)]


def _beside(path: Path, home: Path | None, used: set[str | None]) -> list[str]:
    """What lies beside the splits: told where it is a folder, with a warning where it is an image."""
    beside = [entry for entry in _entries(path, home) if entry.name not in used]
    if images := [entry.name for entry in beside if _is_image(entry) and not entry.is_dir()]:
        warnings.warn(f"{path}: {len(images)} images beside the splits are not used: {images[0]}, ...", stacklevel=2)
    folders = [f"{entry.name}/" for entry in beside if entry.is_dir()]
    return [f"not used: {names.several(folders)}"] if folders else []


def _visible(path: Path) -> bool:
    return not any(part.startswith(".") or part.lower() in JUNK for part in path.parts)


def _is_image(file: Path) -> bool:
    return _visible(Path(file.name)) and file.suffix.lower() in FORMATS
