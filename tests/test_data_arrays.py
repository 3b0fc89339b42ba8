"""Arrays on disk: .npz and .npy files, and no pickle, bomb or lie among them."""

import io
import math
import os
import time
import zipfile

import numpy as np
import pytest
from pictures import pixels

from ddjax import data


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_files_give_their_rows_to_one_split_each(tmp_path, save):
    x, labels = pixels(30, 4, 5), np.arange(30) % 3
    save(tmp_path / "mine.npz", x=x, labels=labels)
    train, test = (data.load(tmp_path / "mine.npz", split) for split in ("train", "test"))
    assert (len(train.x), len(test.x), train.classes, train.name) == (27, 3, ("0", "1", "2"), "mine")
    rows = {image.tobytes(): label for image, label in zip(x, labels, strict=True)}
    found = {im.tobytes(): label for part in (train, test) for im, label in zip(part.x, part.labels, strict=True)}
    assert found == rows


class Trap:
    """A pickle that would leave a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_no_pickle_is_run(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([Trap(tmp_path / "run")], object))
    np.save(tmp_path / "a.npy", np.array([Trap(tmp_path / "run")], object))
    for name in ("a.npz", "a.npy"):
        with pytest.raises(ValueError, match=f"{name} is no .*Python objects"):
            data.load(tmp_path / name)
    assert not (tmp_path / "run").exists()


X, Y = pixels(30, 4, 5, 3), np.arange(30) % 3
GREY = pixels(30, 4, 5)
RAMP = np.linspace(0, 1, 30 * 20).reshape(30, 4, 5)  # both ends of its range
WORDS = np.array(["ant", "bee", "cow"])

# what is in the file, and what it must be read as: pixels [n, h, w, c], labels, classes
READ = {
    "x labels": ({"x": X, "labels": Y}, X, Y, "012"),
    "X Y": ({"X": X, "Y": Y}, X, Y, "012"),
    "images targets": ({"images": X, "targets": Y}, X, Y, "012"),
    "guided diffusion": ({"arr_0": X, "arr_1": Y}, X, Y, "012"),
    "no labels": ({"data": X}, X, None, ""),
    "grey": ({"x": GREY}, GREY[..., None], None, ""),
    "channels first": ({"x": np.moveaxis(X, 3, 1)}, X, None, ""),
    "grey, channel first": ({"x": GREY[:, None]}, GREY[..., None], None, ""),
    "columns first in memory": ({"x": np.asfortranarray(X)}, X, None, ""),
    "wide integers": ({"x": X.astype(np.int64)}, X, None, ""),
    "big endian": ({"x": X.astype(">u2")}, X, None, ""),
    "16 bits": ({"x": GREY.astype(np.uint16) * 257}, GREY[..., None], None, ""),
    "mask": ({"x": GREY > 99}, (GREY > 99)[..., None] * np.uint8(255), None, ""),
    "floats 0..1": ({"x": RAMP.astype(">f4")}, np.round(RAMP * 255)[..., None], None, ""),
    "floats -1..1": ({"x": RAMP * 2 - 1}, np.round(RAMP * 255)[..., None], None, ""),
    "floats 0..255": ({"x": np.round(RAMP * 255).astype(np.float16)}, np.round(RAMP * 255)[..., None], None, ""),
    "labels 1..": ({"x": X, "y": Y + 1}, X, Y, "123"),
    "labels with gaps": ({"x": X, "y": np.array([2, 7, 30])[Y]}, X, Y, ("2", "7", "30")),
    "labels n x 1": ({"x": X, "y": Y[:, None].astype(np.uint8)}, X, Y, "012"),
    "float labels": ({"x": X, "y": Y.astype(np.float32)}, X, Y, "012"),
    "one-hot": ({"x": X, "y": np.eye(4)[Y + (Y == 2)]}, X, Y, "013"),
    "words": ({"x": X, "y": WORDS[Y]}, X, Y, WORDS),
    "bytes of words": ({"x": X, "y": WORDS[Y].astype("S")}, X, Y, WORDS),
    "booleans": ({"x": X, "y": Y > 1}, X, Y > 1, "01"),
    "names": ({"x": X, "y": Y, "classes": WORDS}, X, Y, WORDS),
    "names with gaps": ({"x": X, "y": Y * 2, "class_names": np.array(list("abcde"))}, X, Y, "ace"),
    "one class": ({"x": X, "y": Y * 0 + 5}, X, Y * 0, "5"),
}


@pytest.mark.parametrize("case", READ)
def test_arrays_are_read_as_what_they_are(tmp_path, case):
    """All rows of both splits, in a zip and as files in a folder, no class without an image, one row in ten held out.

    Mutations: channels first not turned; a range's black or white moved; labels not renumbered, or with the rows of others.
    """
    content, x, labels, classes = READ[case]
    np.savez(tmp_path / "mine.npz", **content)
    for name, array in content.items():
        (tmp_path / "folder").mkdir(exist_ok=True)
        np.save(tmp_path / "folder" / f"{name}.npy", array)
    numbers = np.full(len(x), -1) if labels is None else labels
    wanted = sorted((image.astype(np.uint8).tobytes(), int(number)) for image, number in zip(x, numbers, strict=True))
    for source in (tmp_path / "mine.npz", tmp_path / "folder"):
        train, test = (data.load(source, split) for split in ("train", "test"))
        assert (len(train), len(test)) == (27, 3) and train.classes == test.classes == tuple(classes)
        assert "one in 10 is held out" in train.describe()
        found = []
        for part in (train, test):
            assert part.shape == x.shape[1:] and (part.labels is None) == (labels is None)
            numbers = np.full(len(part), -1) if labels is None else part.labels
            found += [(image.tobytes(), int(number)) for image, number in zip(part.x, numbers, strict=True)]
        assert sorted(found) == wanted


OWN = {
    "keras": ("x_train", "y_train", "x_test", "y_test"),
    "medmnist without validation": ("train_images", "train_labels", "test_images", "test_labels"),
    "val alone": ("X_train", "Y_train", "X_val", "Y_val"),
    "no separator": ("xtrain", "ytrain", "xvalid", "yvalid"),
    "beside": ("x", "y", "x_test", "y_test"),
}


@pytest.mark.parametrize("case", OWN)
def test_a_file_keeps_its_own_splits_and_one_list_of_classes(tmp_path, case):
    """Class 1 is missing in the test and 2 in training: the numbers are those of the union. Mutation: classes by split."""
    a, b, c, d = OWN[case]
    np.savez(tmp_path / "a.npz", **{a: X[:20], b: np.array([3, 1])[Y[:20] % 2], c: X[20:], d: np.full(10, 3)})
    with pytest.warns(UserWarning, match="a.npz: classes without a test image: '1'"):
        train, test = (data.load(tmp_path / "a.npz", split) for split in ("train", "test"))
    assert train.classes == test.classes == ("1", "3")
    np.testing.assert_array_equal(train.x, X[:20])
    np.testing.assert_array_equal(test.x, X[20:])
    np.testing.assert_array_equal(train.labels, np.array([1, 0])[Y[:20] % 2])
    np.testing.assert_array_equal(test.labels, 1)
    assert "held out" not in train.describe()


def test_medmnist_has_a_third_split_which_is_told(tmp_path):
    """Labels are [n, 1], and the test is the test. Mutation: val taken for the test."""
    parts = {"train": slice(0, 20), "val": slice(20, 24), "test": slice(24, 30)}
    content = {f"{name}_images": GREY[rows] for name, rows in parts.items()}
    content |= {f"{name}_labels": Y[rows, None].astype(np.uint8) for name, rows in parts.items()}
    np.savez(tmp_path / "bloodmnist.npz", **content)
    train, test = (data.load(tmp_path / "bloodmnist.npz", split) for split in ("train", "test"))
    np.testing.assert_array_equal(train.x[..., 0], GREY[:20])
    np.testing.assert_array_equal(test.x[..., 0], GREY[24:])
    assert "not used: val_images, val_labels" in train.describe() and train.name == "bloodmnist"


def test_what_the_names_say_nothing_of_is_warned_of(tmp_path):
    """Mutation: arrays of unknown names passed over."""
    np.savez(tmp_path / "a.npz", x=X, labelz=Y, notes=np.array("hello"))
    with pytest.warns(UserWarning, match=r"not used.*labelz int64 \[30\], notes <U5 \[\]"):
        assert data.load(tmp_path / "a.npz").labels is None


def test_splits_of_different_types_mean_the_same_range(tmp_path):
    """A dark test set in floats of 0..255 is not stretched. Mutation: each split by its own range."""
    np.savez(tmp_path / "a.npz", x_train=RAMP * 255, x_test=np.float32(RAMP[:5]))
    np.testing.assert_array_equal(data.load(tmp_path / "a.npz", "test").x, np.round(RAMP[:5])[..., None])


NAN = RAMP.copy()
NAN[3, 2, 1] = np.nan
REFUSED = {
    "no images": ({"labels": Y}, r"no images to train on.*got 'labels'"),
    "two images": ({"x": X, "images": X}, "'x' and 'images' are both train images"),
    "two labels": ({"x": X, "y": Y, "labels": Y}, "'y' and 'labels' are both train labels"),
    "labels of one split": ({"x_train": X, "y_train": Y, "x_test": X}, "labels for 'x_train' and for 'x_test'"),
    "not a number": ({"x": NAN}, "finite"),
    "infinite": ({"x": np.where(RAMP > 0.5, np.inf, RAMP)}, "finite"),
    "beyond": ({"x": RAMP * 300}, r"0\.\.300"),
    "negative pixels": ({"x": X.astype(int) - 9}, r"integers in 0\.\.255"),
    "wide pixels": ({"x": X.astype(int) * 9}, r"integers in 0\.\.255"),
    "words for pixels": ({"x": np.full((30, 4, 5), "a")}, "pixels must be numbers"),
    "rows": ({"x": pixels(30, 64)}, "reshape rows"),
    "one image": ({"x": pixels(16, 16, 3)}, "a single image"),
    "channels": ({"x": pixels(30, 8, 8, 4)}, "with 1 or 3 channels"),
    "channels first": ({"x": pixels(30, 2, 8, 8)}, "with 1 or 3 channels"),
    "five axes": ({"x": pixels(3, 4, 5, 3, 1)}, "with 1 or 3 channels"),
    "empty": ({"x": np.zeros((0, 4, 5), np.uint8)}, r"0, 4, 5"),
    "shapes": ({"x_train": X, "x_test": X[:, :3]}, "one shape"),
    "halves": ({"x": X, "y": Y / 2}, "not whole"),
    "nan labels": ({"x": X, "y": np.where(Y > 1, np.nan, Y)}, "not whole"),
    "negative labels": ({"x": X, "y": Y - 1}, "must not be negative"),
    "huge labels": ({"x": X, "y": Y + np.uint64(2**63)}, "huge"),
    "few labels": ({"x": X, "y": Y[:-1]}, r"\[30\].*got int64 \[29\]"),
    "several labels": ({"x": X, "y": np.ones((30, 4), int)}, "one class for each image"),
    "few names": ({"x": X, "y": Y, "classes": WORDS[:2]}, r"class names must be words \[3\]"),
    "words and numbers": ({"x_train": X, "y_train": Y, "x_test": X, "y_test": WORDS[Y]}, "words in all"),
    "one row": ({"x": X[:1]}, "has 1 images, too few"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_arrays_that_are_no_set_of_images_are_refused(tmp_path, case):
    """By a message that names the file. Mutation: any of these checks left out."""
    content, message = REFUSED[case]
    np.savez(tmp_path / "mine.npz", **content)
    with pytest.raises(ValueError, match=message) as error:
        data.load(tmp_path / "mine.npz", "test")
    assert "mine.npz" in str(error.value)


def test_a_header_that_lies_about_its_array_is_refused(tmp_path):
    """A member of 100 bytes that says it has 10^12. Fails when memory is given on the header's word."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (10**6, 10**3, 10**3)}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("x.npy", header.getvalue() + bytes(100))
    with pytest.raises(ValueError, match="its size says otherwise"):
        data.load(tmp_path / "a.npz")


def test_npy_files_stay_on_disk_and_keep_their_own_split(tmp_path):
    """Fails when a memory map is copied, or the test split of one file silently equals its train split."""
    for split, n in (("train", 8), ("test", 4)):
        (tmp_path / split).mkdir()
        np.save(tmp_path / split / "x.npy", pixels(n, 4, 5, 3))
        np.save(tmp_path / split / "labels.npy", np.arange(n) % 2)
    train, test = (data.load(tmp_path, split) for split in ("train", "test"))
    assert isinstance(train.x, np.memmap) and (len(train.x), len(test.x)) == (8, 4)
    np.testing.assert_array_equal(test.labels, [0, 1, 0, 1])
    assert train.name == tmp_path.name


def test_a_lone_npy_file_is_divided_as_it_says(tmp_path):
    """With the labels beside it, from its own path and from its folder. Mutation: train and test share rows."""
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    for source in (tmp_path / "x.npy", tmp_path):
        train, test = (data.load(source, split) for split in ("train", "test"))
        seen = np.concatenate([train.x, test.x])
        assert len(train) == 27 and sorted(map(bytes, seen)) == sorted(map(bytes, X))
        assert train.classes == ("0", "1", "2") and "one in 10 is held out" in test.describe()
    with pytest.raises(ValueError, match=r"more than the 99 .*train/x.npy and test/x.npy"):
        data.load(tmp_path / "x.npy", largest=99)


LAZY = {
    "floats": (RAMP.astype(np.float32), np.round(RAMP * 255)),
    "floats -1..1, channels first": (RAMP[:, None] * 2 - 1, np.round(RAMP * 255)),
    "uint16": (GREY.astype(np.uint16) * 257, GREY),
    "booleans": (GREY > 99, (GREY > 99) * 255),
    "wide integers": (GREY.astype(np.int64), GREY),
}


def halves(folder, x, names=("train", "test")):
    for split, part in zip(names, (x[::2], x[1::2]), strict=True):
        (folder / split).mkdir(parents=True)
        np.save(folder / split / "x.npy", part)
    return folder


@pytest.mark.parametrize("case", LAZY)
def test_numbers_beyond_memory_become_bytes_where_they_are_read(tmp_path, case):
    """The same bytes as at once, of rows, of a slice and of a stream; nothing of the set is in memory.

    Mutations: scaled by the range of the rows that are read; channels not turned; the whole read.
    """
    x, wanted = LAZY[case]
    halves(tmp_path, x)
    lazy, whole = (data.load(tmp_path, "test", largest=largest) for largest in (50, 2**30))
    np.testing.assert_array_equal(whole.x[..., 0], wanted[1::2])
    assert not isinstance(lazy.x, np.ndarray) and isinstance(whole.x, np.ndarray) and lazy.nbytes == whole.nbytes == 300
    rows = np.array([7, 3, 3, 14])
    np.testing.assert_array_equal(lazy.take(rows)[0], whole.take(rows)[0])
    np.testing.assert_array_equal(lazy.x[2:5], whole.x[2:5])
    np.testing.assert_array_equal(np.asarray(lazy.x), whole.x)
    assert lazy.digest == whole.digest and lazy.shape == whole.shape == (4, 5, 1)
    batches = (next(data.Stream(images, 4, seed=1, threads=1)).x_0 for images in (lazy, whole))
    np.testing.assert_array_equal(*batches)


@pytest.mark.parametrize("bad", [1.5, -0.1, np.nan])
def test_a_number_out_of_range_is_told_when_it_is_read(tmp_path, bad, monkeypatch):
    """Of a set that is not read whole, of whose images it is none that were looked at. Mutation: clipped, or wrapped around."""
    x = RAMP.copy()
    x[28, 0, 0] = bad  # image 14 of its split
    halves(tmp_path, x)
    monkeypatch.setattr(data.arrays.pixels, "some_rows", lambda x: np.arange(14))
    train = data.load(tmp_path, largest=50)
    train.take(np.arange(14))
    with pytest.raises(ValueError, match=rf"pixels lie in 0..1, and one of an image is {bad:g}"):
        train.take(np.array([3, 14]))


@pytest.mark.parametrize("dtype", ["|u1", "<f4"])
def test_a_set_larger_than_any_memory_is_read_in_parts(tmp_path, dtype):
    """100 GB on disk, nearly all of it a hole: described in seconds, and a batch is read. Mutations: range or digest of all."""
    for split, n in (("train", 2**23), ("test", 2**8)):
        (tmp_path / split).mkdir()
        with open(tmp_path / split / "x.npy", "wb") as file:
            header = {"descr": dtype, "fortran_order": False, "shape": (n, 64, 64, 3 if dtype == "|u1" else 1)}
            np.lib.format.write_array_header_1_0(file, header)
            size = math.prod(header["shape"]) * np.dtype(dtype).itemsize
            file.truncate(file.tell() + size)
    began = time.process_time()
    train, test = (data.load(tmp_path, split) for split in ("train", "test"))
    assert " of them " in train.describe() and "sha256 " in test.describe()
    assert train.take(np.array([2**23 - 1, 5]))[0].max() == 0
    assert (tmp_path / "train" / "x.npy").stat().st_blocks * 512 < 2**20 and time.process_time() - began < 20
    with pytest.raises(ValueError, match=r"more than the 4,294,967,296 that are read to be divided"):
        data.load(tmp_path / "train")


INSTEAD = {
    "a.csv": "numpy.savez.*points and vectors", "a.zip": "unpack it, and give the folder", "a.tar": "unpack it",
    "a.JPG": "the folder that", "a.parquet": "numpy.savez", "a.h5": "numpy.savez", "a": "numpy.savez",
}  # fmt: skip


@pytest.mark.parametrize("name", INSTEAD)
def test_a_file_of_another_kind_says_what_can_be_done(name, tmp_path):
    """Mutation: one answer for all."""
    with zipfile.ZipFile(tmp_path / name, "w") as file:
        file.writestr("cat/0.png", b"")
    if name != "a.zip":
        (tmp_path / name).write_bytes(b"1,2,3\n")
    with pytest.raises(ValueError, match=f"{name} is not a .*{INSTEAD[name]}"):
        data.load(tmp_path / name)


WITHOUT_EFFECT = {
    "every": {"every": 5}, "size": {"size": 8}, "skip_unreadable": {"skip_unreadable": True},
    "follow_links": {"follow_links": True},
}  # fmt: skip


@pytest.mark.parametrize("name", WITHOUT_EFFECT)
def test_an_argument_without_effect_is_an_error(name, tmp_path):
    """Of the sets of the package, and of arrays with a split of their own. Mutation: passed over for any of them."""
    for source in ("digits", "glyphs", halves(tmp_path / "a", GREY), tmp_path / "b.npz"):
        np.savez(tmp_path / "b.npz", x_train=GREY, x_test=GREY)
        with pytest.raises(ValueError, match=rf"{name}=\w+ has no effect"):
            data.load(source, **WITHOUT_EFFECT[name])
