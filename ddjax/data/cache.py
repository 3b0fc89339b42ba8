"""Sets that take long to make are kept as .npz files, written atomically and checked by their content when read."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ddjax.data import npz
from ddjax.data.images import Images
from ddjax.files import replacing


def folder() -> Path:
    """`$DDJAX_CACHE`, or ~/.cache/ddjax."""
    return Path(os.environ.get("DDJAX_CACHE") or "~/.cache/ddjax").expanduser()


def kept(file: str, make: Callable[[], Images]) -> Images:
    """The set in the cache under this name, or a new one, which is then kept.

    A file that is damaged is made again, and a folder that cannot be written is done without, each with a warning.
    """
    path = folder() / file
    if path.is_file():
        try:
            return _read(path)
        except (ValueError, KeyError) as error:
            warnings.warn(f"{path} is damaged ({error}) and is made again", stacklevel=2)
    images = make()
    try:
        _write(path, images)
    except OSError as error:
        warnings.warn(f"{path} cannot be written ({error.strerror}): set DDJAX_CACHE to another folder", stacklevel=2)
    return images


def _write(path: Path, images: Images) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {name: getattr(images, name) for name in ("classes", "split", "name", "flip", "attribution", "digest")}
    with replacing(path) as file:
        np.savez(file, x=images.x, labels=images.labels, **facts)


def _read(path: Path) -> Images:
    found = npz.read(path)
    text = {name: str(found[name]) for name in ("split", "name", "attribution")}
    images = Images(found["x"], found["labels"], tuple(found["classes"].tolist()), flip=bool(found["flip"]), **text)
    if images.digest != str(found["digest"]):
        raise ValueError("its content is not what was written")
    return images
