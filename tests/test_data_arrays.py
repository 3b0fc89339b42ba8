"""Arrays on disk: .npz and .npy files, and no pickle, bomb or lie among them."""

import io
import os
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


def test_arrays_that_are_no_set_of_images_are_refused(tmp_path):
    """Each by its own message; the pickle is not run."""
    cases = {
        "uint8": {"x": np.zeros((4, 3, 3))},
        "got .'labels'.": {"labels": np.zeros(4, int)},
        "whole numbers": {"x": pixels(4, 3, 3), "labels": np.zeros(4)},
        "whole numbers .4.": {"x": pixels(4, 3, 3), "labels": np.zeros(3, int)},
        "labels must lie": {"x": pixels(4, 3, 3), "labels": np.array([0, 1, 2, 2**40])},
        "Python objects": {"x": np.array([Trap(tmp_path / "run")], object)},
    }
    for message, content in cases.items():
        np.savez_compressed(tmp_path / "a.npz", **content)
        with pytest.raises(ValueError, match=message):
            data.load(tmp_path / "a.npz")
    np.save(tmp_path / "a.npy", np.array([Trap(tmp_path / "run")], object))
    with pytest.raises(ValueError, match="can be read"):
        data.load(tmp_path / "a.npy")
    assert not (tmp_path / "run").exists()


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
    assert len(data.load(tmp_path / "train").x) == 8
    with pytest.raises(ValueError, match="file of their own"):
        data.load(tmp_path / "train", "test")
