"""Folders of image files: read in order, split by class, refused by the name of the file."""

import numpy as np
import pytest
from pictures import paint
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
    Image.fromarray(np.zeros((4, 6), np.uint16)).save(home / "deep.png")
    refused(tmp_path, r"deep.png: pixels of mode I;16")
    (home / "deep.png").unlink()
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
