"""Folders of image files: read in order, split by class, refused by the name of the file."""

import os

import numpy as np
import pytest
from pictures import paint, pixels
from PIL import Image

from ddjax import data
from ddjax.data import folders


def test_a_folder_of_classes_is_read_in_order_and_split_by_class(tmp_path):
    for k, name in enumerate(("cat", "dog")):
        for i in range(20):
            paint(tmp_path / name / f"{i:02}.png", (k, i, 0))
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    train, test = (data.load(tmp_path, split) for split in ("train", "test"))
    assert train.classes == ("cat", "dog") and train.x.shape == (36, 4, 6, 3) and not train.flip
    np.testing.assert_array_equal(np.bincount(test.labels), [2, 2])
    np.testing.assert_array_equal(train.x[:, 0, 0, 0], train.labels)
    seen = {tuple(image[0, 0]) for part in (train, test) for image in part.x}
    assert seen == {(k, i, 0) for k in (0, 1) for i in range(20)}


def test_flat_folders_own_splits_grey_images_and_sizes(tmp_path):
    for split in ("train", "test"):
        paint(tmp_path / split / "a.png", 17, mode="L")
        paint(tmp_path / split / "b.png", 19, size=(8, 4), mode="L")
    with pytest.raises(ValueError, match=r"b.png is 8 x 4, a.png is 6 x 4: one size is needed"):
        data.load(tmp_path)
    found = data.load(tmp_path, "test", size=3)
    assert found.x.shape == (2, 3, 3, 1) and found.labels is None and found.x[1].max() == found.x[1].min() == 19
    paint(tmp_path / "train" / "c.jpg")
    assert data.load(tmp_path, size=3).x.shape == (3, 3, 3, 3)  # one in colour, and all are


def refused(tmp_path, message):
    with pytest.raises(ValueError, match=message):
        folders.read(folders.scan(tmp_path / "set", every=0))


def test_folders_that_cannot_be_read_say_which_file(tmp_path):
    home = tmp_path / "set"
    paint(home / "good.png")
    (home / "bad.png").write_bytes((home / "good.png").read_bytes()[:40])
    refused(tmp_path, r"cannot read the image .*bad.png")
    (home / "bad.png").write_text("%!PS-Adobe-3.0 EPSF\n")  # Pillow would start a PostScript interpreter for it
    refused(tmp_path, r"cannot read the image .*bad.png")
    (home / "bad.png").unlink()
    Image.new("1", (9_000, 9_000)).save(home / "bomb.png")
    refused(tmp_path, r"bomb.png: 9000 x 9000 is more than")
    (home / "bomb.png").unlink()
    paint(home / "class" / "x.png")
    refused(tmp_path, "either all in classes or none")


def test_links_out_of_a_folder_are_refused(tmp_path):
    """To a file, and to a folder of images. Fails when links are followed; one that stays inside is a file like others."""
    paint(tmp_path / "secret" / "key.png")
    home = tmp_path / "set"
    for i in range(2):
        paint(home / f"{i}.png")
    (home / "inside.png").symlink_to(home / "1.png")
    assert len(data.load(home).x) == 2
    for target in ("secret/key.png", "secret"):
        (home / "link.png").symlink_to(tmp_path / target)
        refused(tmp_path, "link.png is a link that leaves the folder")
        (home / "link.png").unlink()


LINKED = {
    "files": lambda home, store: [link(home / k / f"{i}.png", store / k / f"{i}.png") for k in "ab" for i in range(12)],
    "class folders": lambda home, store: [link(home / k, store / k) for k in "ab"],
    "splits": lambda home, store: [link(home / split, store) for split in ("train", "test")],
}


def link(path, target):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


@pytest.mark.parametrize("name", LINKED)
def test_links_out_of_a_folder_are_read_when_asked_for(name, tmp_path):
    """As DVC, git-annex and caches of hubs lay out their sets: the same images, or an error that names the argument.

    Mutations: never followed; an image deeper down in a linked folder passed over; a loop followed for ever.
    """
    for k, of_class in enumerate("ab"):
        for i in range(12):
            paint(tmp_path / "store" / of_class / f"{i}.png", (k, i, 0))
    home = tmp_path / "set"
    LINKED[name](home, tmp_path / "store")
    with pytest.raises(ValueError, match=r"is a link that leaves the folder; follow_links=True"):
        data.load(home)
    for largest in (2**30, 0):
        found, plain = (data.load(path, largest=largest, follow_links=True) for path in (home, tmp_path / "store"))
        rows = slice(None) if name == "splits" else np.arange(len(plain))
        assert found.classes == ("a", "b") and len(found) == (24 if name == "splits" else len(plain))
        if name != "splits":
            np.testing.assert_array_equal(found.take(rows)[0], plain.take(rows)[0])
    if name == "class folders":
        link(tmp_path / "store" / "a" / "deeper", tmp_path / "elsewhere")
        paint(tmp_path / "elsewhere" / "deep.png")
        link(tmp_path / "elsewhere" / "turns", tmp_path / "elsewhere")
        with pytest.raises(ValueError, match=r"deep.png lies below the class folder 'a'"):
            data.load(home, follow_links=True)
        (tmp_path / "store" / "a" / "deeper").unlink()
        link(home / "a" / "up", home)
        with pytest.raises(ValueError, match="/a/up"):
            data.load(home, follow_links=True)


ALIKE = {
    "case": ("Cat", "cat"), "blanks": ("fire truck", "fire  truck", "firetruck"), "an end": ("cat", "cat "),
    "letters in two ways": ("caf\u00e9", "cafe\u0301"),
}  # fmt: skip


@pytest.mark.parametrize("name", ALIKE)
def test_classes_that_are_perhaps_one_are_warned_of(name, tmp_path):
    """Of folders and of words in a file; others are not. Mutations: case, blanks or Unicode's forms left as they are."""
    for k, of_class in enumerate((*ALIKE[name], "dog")):
        for i in range(12):
            paint(tmp_path / "set" / of_class / f"{i}.png", (k, i, 0))
    labels = np.array((*ALIKE[name], "dog"))[np.arange(48) % (len(ALIKE[name]) + 1)]
    np.savez(tmp_path / "set.npz", x=np.zeros((48, 4, 4), np.uint8), y=labels)
    for source in ("set", "set.npz"):
        with pytest.warns(UserWarning, match="differ by case or blanks alone: ") as told:
            data.load(tmp_path / source)
        assert all(repr(of_class) in str(told[0].message) for of_class in ALIKE[name])
        assert len(told) == 1 and "dog" not in str(told[0].message)


def test_all_unreadable_files_are_told_at_once_or_left_out(tmp_path):
    """An empty file, one cut in its pixels, a text, a pipe, a link to nothing. Mutation: the first one alone is told."""
    home = tmp_path / "set"
    for i in range(20):
        Image.fromarray(pixels(16, 16, 3)).save(paint(home / f"{i:02}.png"))
    (home / "empty.png").touch()
    (home / "cut.png").write_bytes((home / "00.png").read_bytes()[:-200])
    (home / "text.jpg").write_text("text")
    os.mkfifo(home / "pipe.png")
    (home / "dangling.png").symlink_to(home / "gone.png")
    bad = {"empty.png", "text.jpg", "pipe.png", "dangling.png"}
    with pytest.raises(ValueError, match="skip_unreadable=True") as error:
        data.load(home)
    assert all(name in str(error.value) for name in bad) and "\n" not in str(error.value)
    for largest in (2**30, 0):  # at once, and as a stream
        train, test = (data.load(home, split, skip_unreadable=True, largest=largest) for split in ("train", "test"))
        assert (len(train), len(test)) == (18, 2)
        assert "5 files left out" in train.describe() and all(name in train.describe() for name in bad | {"cut.png"})
    for name in bad:
        (home / name).unlink()
    with pytest.raises(ValueError, match=r"cut.png.*skip_unreadable=True"):
        data.load(home)


def test_hidden_files_and_those_of_systems_are_passed_over_and_others_counted(tmp_path):
    for i in range(10):
        paint(tmp_path / "cat" / f"{i}.PNG")
    for name in (".DS_Store", "._0.png", "Thumbs.db", "desktop.ini", "a.heic", "b.heic", "readme"):
        (tmp_path / "cat" / name).write_bytes(b"x")
    (tmp_path / "__MACOSX" / "cat").mkdir(parents=True)
    (tmp_path / "__MACOSX" / "cat" / "0.png").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    found = data.load(tmp_path)
    assert len(found) == 9 and found.classes == ("cat",)
    assert "not images: 2 .heic, 1 readme" in found.describe()


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"),
        ("training", "val"),
        ("Train", "VALID"),
        ("train", "validation"),
        ("train", "testing"),
        ("train", "eval"),
    ],
)
def test_splits_share_one_list_of_classes_one_size_and_one_kind(tmp_path, train, test):
    """`ant` is missing in the test, `cow` in training; one coloured test image makes both splits coloured.

    Mutations: classes numbered by split; grey decided by split; a name of a split not known.
    """
    for split, classes in ((train, ("ant", "bee")), (test, ("bee", "cow"))):
        for k, name in enumerate(classes):
            paint(tmp_path / split / name / "0.png", 100 * k, mode="L")
    paint(tmp_path / test / "bee" / "1.png", (1, 2, 3))
    with pytest.warns(UserWarning) as told:
        a, b = (data.load(tmp_path, split) for split in ("train", "test"))
    assert {str(one.message).partition(": ")[2] for one in told} == {
        "classes without a training image: 'cow'",
        "classes without a test image: 'ant'",
    }
    assert a.classes == b.classes == ("ant", "bee", "cow")
    assert a.labels.tolist() == [0, 1] and b.labels.tolist() == [1, 1, 2]
    assert a.shape == b.shape == (4, 6, 3) and a.name == tmp_path.name


def test_a_third_split_is_told_and_train_beside_other_classes_is_a_class(tmp_path):
    for folder in (
        "a/train",
        "a/val",
        "a/test",
        "b/train",
        "b/boat",
        "c/test",
        "c/val",
        "d/train",
        "e/train",
        "e/Training",
    ):
        for i in range(12):
            paint(tmp_path / folder / f"{i}.png")
    assert len(data.load(tmp_path / "a", "test")) == 12 and "not used: val/" in data.load(tmp_path / "a").describe()
    paint(tmp_path / "a" / "0.png")
    with pytest.warns(UserWarning, match="1 images beside the splits"):
        data.load(tmp_path / "a")
    assert data.load(tmp_path / "b").classes == ("boat", "train")
    with pytest.raises(ValueError, match="'test' and none to train on"):
        data.load(tmp_path / "c")
    train, test = (data.load(tmp_path / "d", split) for split in ("train", "test"))
    assert (len(train), len(test), train.classes) == (10, 2, ())
    if not (tmp_path / "e" / "TRAIN").exists():  # where case matters
        with pytest.raises(ValueError, match="one split under two names"):
            paint(tmp_path / "e" / "test" / "0.png")
            data.load(tmp_path / "e")


def test_what_is_laid_out_otherwise_is_refused_by_name(tmp_path):
    for folder in ("deep/animals/cat", "mixed/train/cat", "mixed/test"):
        paint(tmp_path / folder / "0.png")
    with pytest.raises(ValueError, match=r"animals/cat/0.png lies below the class folder 'animals'"):
        data.load(tmp_path / "deep")
    with pytest.raises(ValueError, match="one split has images in class folders"):
        data.load(tmp_path / "mixed")


def test_links_that_turn_in_a_folder_are_refused(tmp_path):
    """A link to the folder itself, and two that lead to each other. Mutation: followed, for ever or for a RuntimeError."""
    paint(tmp_path / "a" / "cat" / "0.png")
    (tmp_path / "a" / "cat" / "up").symlink_to(tmp_path / "a")
    with pytest.raises(ValueError, match=r"up is a link to a folder that it lies in"):
        data.load(tmp_path / "a")
    (tmp_path / "a" / "cat" / "up").unlink()
    for one, other in (("x", "y"), ("y", "x")):
        (tmp_path / "a" / f"{one}.png").symlink_to(tmp_path / "a" / f"{other}.png")
    with pytest.raises(ValueError, match=r"is a link in a loop|cannot read the image"):
        data.load(tmp_path / "a")
    with pytest.raises(ValueError, match=r"x.png"):
        data.load(tmp_path / "a" / "x.png")


def test_a_class_of_one_image_is_trained_on(tmp_path):
    """Mutation: the only image of a class is held out, and the class is never learnt."""
    for i in range(9):
        paint(tmp_path / f"{i:02}" / "0.png", (i, 0, 0))
    for i in range(10):
        paint(tmp_path / "many" / f"{i}.png")
    with pytest.warns(UserWarning, match="classes without a test image: '00', '01', '02', '03', '04' and 4 more"):
        assert np.bincount(data.load(tmp_path).labels, minlength=10).min() == 1
        assert len(data.load(tmp_path, "test")) == 1
    paint(tmp_path / "one" / "set" / "0.png")
    with pytest.raises(ValueError, match="has 1 images, too few to keep one in 10"):
        data.load(tmp_path / "one" / "set", "test")
