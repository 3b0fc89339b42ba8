"""What the arrays of a file and the folders of a set are usually called: images, labels, classes; training and held out.

    x y    images labels    arr_0 arr_1    x_train y_train x_test y_test    train_images train_labels val_images test_images

Case does not matter, nor whether the split stands before or behind, with _ - . or nothing between.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

TRAIN = ("train", "training")
HELD_OUT = ("test", "testing", "val", "valid", "validation", "eval", "evaluation", "dev")  # the first found is used
IMAGES = ("x", "image", "images", "img", "imgs", "data", "input", "inputs", "pixels", "samples", "arr_0")
LABELS = ("y", "label", "labels", "target", "targets", "arr_1")
CLASSES = ("classes", "class_names", "label_names", "names")

_NAMED, _LONGEST = 5, 80  # names in a message, and characters of each

_SPLIT = "|".join(sorted(TRAIN + HELD_OUT, key=len, reverse=True))
_NAME = re.compile(rf"(?:({_SPLIT})[-_.]?)?({'|'.join(IMAGES + LABELS)})(?:[-_.]?({_SPLIT}))?")


class Pair(NamedTuple):
    """The names of the images and labels of a split."""

    images: str
    labels: str | None


class Layout(NamedTuple):
    """Which array is what; `test` is None where the file has no split of its own."""

    train: Pair
    test: Pair | None
    classes: str | None
    unused: tuple[str, ...]  # arrays of a further split
    unknown: tuple[str, ...]


def layout(names: Iterable[str]) -> Layout:
    """Tell the arrays of a file apart by their names.

    Raises: ValueError for no images to train on, two arrays in one place, or a split without the labels that the other has.
    """
    names = list(names)
    places: dict[tuple[str, str], str] = {}  # (split, role) -> name
    unknown = []
    for name in names:
        match = _NAME.fullmatch(name.lower())
        if name.lower() in CLASSES:
            place = ("", "classes")
        elif match is None or (match[1] and match[3]):
            unknown.append(name)
            continue
        else:
            split = match[1] or match[3] or TRAIN[0]
            place = (TRAIN[0] if split in TRAIN else split, "images" if match[2] in IMAGES else "labels")
        if place in places:
            raise ValueError(f"{places[place]!r} and {name!r} are both {' '.join(place).strip()}: leave one")
        places[place] = name
    train, *others = [_pair(places, split) for split in (TRAIN[0], *HELD_OUT)]
    if train is None:
        allowed = ", ".join(IMAGES[1:])
        raise ValueError(
            f"no images to train on: named x or {allowed}, or x_train; got {several(map(repr, sorted(names)))}"
        )
    test, *further = [pair for pair in others if pair] or [None]
    if test and (test.labels is None) != (train.labels is None):
        raise ValueError(
            f"labels for {train.images!r} and for {test.images!r}, or for none of them; got {several(map(repr, sorted(names)))}"
        )
    used = {*train, *(test or ()), places.get(("", "classes"))}
    unused = tuple(name for pair in further for name in pair if name)  # pyright: ignore[reportOptionalIterable]
    lone = [name for (_, role), name in places.items() if role == "labels" and name not in {*used, *unused}]
    return Layout(train, test, places.get(("", "classes")), unused, (*unknown, *lone))


def several(names: Iterable[str]) -> str:
    """The first names of a list that may be long, each cut where it is, and how many more there are."""
    names = [name if len(name) <= _LONGEST else f"{name[:_LONGEST]}..." for name in names]
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def is_images(name: str) -> bool:
    """Whether an array of this name holds images."""
    match = _NAME.fullmatch(name.lower())
    return match is not None and match[2] in IMAGES


def splits(folders: Iterable[str]) -> tuple[str | None, str | None]:
    """The folders of a set that hold its training and its held-out images; both None where the folders are classes.

    A folder `train` beside others that are no splits is a class, of vehicles perhaps.

    Raises: ValueError for two names of one split, or held-out images alone.
    """
    folders = list(folders)
    train = [name for name in folders if name.lower() in TRAIN]
    test = sorted((n for n in folders if n.lower() in HELD_OUT), key=lambda name: HELD_OUT.index(name.lower()))
    if not test and len(train) < len(folders):
        return None, None
    if test and not train and len(test) == len(folders):
        raise ValueError(f"there is a folder {test[0]!r} and none to train on: name it {TRAIN[0]!r}")
    if test and not train:
        return None, None
    if len(train) > 1 or len({name.lower() for name in test[:2]}) < len(test[:2]):
        raise ValueError(f"{' and '.join(train if len(train) > 1 else test[:2])} are one split under two names")
    return next(iter(train), None), next(iter(test), None)


def _pair(places: dict[tuple[str, str], str], split: str) -> Pair | None:
    images = places.get((split, "images"))
    return Pair(images, places.get((split, "labels"))) if images else None
