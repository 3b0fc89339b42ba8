"""How the images of a run reach its training step: from the device, where they fit, or streamed through Grain."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ddjax import data
from ddjax.cli import UserError
from ddjax.data import Folder, Images, arrays, bounds
from ddjax.types import Batch, Key
from experiments.common.images.settings import Fed, Source

JUDGED = 10_000  # training images of a streamed set that samples are compared with


FLAGS = {  # what the library's messages advise, and how a command line says it
    "or size=": "or --image-size",
    "size=": "--image-size ",
    "skip_unreadable=True": "--skip-unreadable",
    "follow_links=True": "--follow-links",
    "every=": "--hold-out ",
}


@contextmanager
def in_flags() -> Iterator[None]:
    """Errors of the library about a user's images, in the words of the command line."""
    try:
        yield
    except ValueError as error:
        told = str(error)
        for word, flag in FLAGS.items():
            told = told.replace(word, flag)
        raise UserError(told) from None


def load(settings: Fed) -> tuple[Images | Folder, Images | Folder]:
    """Training and held-out images; folders that are larger than what may be resident stay on disk."""
    return splits(settings, min(settings.resident * 2**20, bounds.LARGEST))


def shape(settings: Source) -> tuple[int, int, int]:
    """Height, width and channels of the images; no file of a folder is decoded for them."""
    path = Path(settings.data).expanduser()
    at_once = 0 if path.is_dir() and not arrays.holds(path) else bounds.LARGEST
    with in_flags():
        return data.load(settings.data, largest=at_once, **_as_asked(settings)).shape


def splits(settings: Source, largest: int = bounds.LARGEST) -> tuple[Images | Folder, Images | Folder]:
    """Both splits of --data, read as the settings say, folders of up to so many bytes at once."""
    of = _as_asked(settings)
    with in_flags():
        train, test = (data.load(settings.data, split, largest=largest, **of) for split in ("train", "test"))
    return train, test


def _as_asked(settings: Source) -> dict[str, Any]:
    return {
        "size": settings.image_size,
        "every": None
        if settings.hold_out == Source.hold_out
        else settings.hold_out,  # no default where a set has splits
        "skip_unreadable": settings.skip_unreadable,
        "follow_links": settings.follow_links,
    }


def streamed(images: Images | Folder, settings: Fed) -> bool:
    """Whether a set is larger than what may be resident, or a folder that is larger than what may be read at once."""
    return isinstance(images, Folder) or images.nbytes > settings.resident * 2**20


def told(train: Images | Folder, settings: Fed) -> str:
    """One line: which way the batches go."""
    way = "streamed through Grain" if streamed(train, settings) else "kept on the device"
    return f"{train.nbytes / 2**20:,.1f} MiB of training pixels are {way} (--resident {settings.resident})"


def batches(train: Images | Folder, settings: Fed, seed: int) -> Callable[[Key], Batch] | data.Stream:
    """The batches of one model, for `jobs.train`."""
    if streamed(train, settings):
        return data.Stream(train, settings.batch, seed=seed)
    return data.batches(train, settings.batch)


def judged(images: Images | Folder, settings: Fed) -> Images:
    """The training images that samples are compared with: all, or as many of a streamed set as can be."""
    return data.part(images, JUDGED if streamed(images, settings) else len(images))
