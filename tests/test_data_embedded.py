"""The sets that come with the package: digits, glyphs, photos. What they hold, and that train and test never meet."""

import numpy as np
import pytest

from ddjax import data
from ddjax.data import digits, glyphs, photos


def test_digits_are_those_of_scikit_learn():
    """1,437 and 360 that together are all 1,797; 0..16 goes to 0..255 and comes back. Fails for a scale of 16 or 15."""
    from sklearn.datasets import load_digits

    train, test = (data.load("digits", split) for split in ("train", "test"))
    assert (len(train.x), len(test.x)) == (1437, 360)
    back = [np.round(part.x[..., 0] * (16 / 255)).reshape(-1, 64) for part in (train, test)]
    everything = np.c_[np.concatenate(back), np.concatenate([train.labels, test.labels])]
    theirs = np.c_[load_digits().data, load_digits().target]
    np.testing.assert_array_equal(everything[np.lexsort(everything.T)], theirs[np.lexsort(theirs.T)])
    assert train.x.max() == 255
    assert np.ptp(np.bincount(test.labels) * 5 - np.bincount(load_digits().target)) <= 8
    assert digits.digits(seed=1).digest != train.digest == digits.digits().digest
    assert (
        "digits train: 1,437 images 8 x 8 x 1, 10 classes, never mirrored, sha256 " + train.digest[:16]
        == train.describe()
    )


def test_glyphs_are_reproducible_balanced_and_differ_between_splits(kept):
    """Fails for a draw outside of the seed, a split that repeats the other, or classes of unequal size."""
    made = glyphs.glyphs("train", n=200)
    assert made.x.shape == (200, 28, 28, 1) and not made.flip
    np.testing.assert_array_equal(np.bincount(made.labels), 20)
    for file in kept.iterdir():
        file.unlink()
    assert glyphs.glyphs("train", n=200).digest == made.digest
    others = {glyphs.glyphs("test", n=200).digest, glyphs.glyphs("train", n=200, seed=1).digest}
    assert len(others | {made.digest}) == 3
    flat = np.concatenate([made.x, glyphs.glyphs("test", n=200).x]).reshape(400, -1)
    assert len(np.unique(flat, axis=0)) == 400


def test_glyphs_can_be_told_apart(kept):
    """A nearest-neighbour rule from 2,000 glyphs reads 9 of 10. Fails for labels of other images or digits bent beyond reading."""
    from sklearn.neighbors import KNeighborsClassifier

    train, test = glyphs.glyphs("train", n=2000), glyphs.glyphs("test", n=300)
    rule = KNeighborsClassifier(1).fit(train.x.reshape(2000, -1) / 255, train.labels)
    assert rule.score(test.x.reshape(300, -1) / 255, test.labels) > 0.85
    border = np.concatenate([test.x[:, [0, -1]].ravel(), test.x[:, :, [0, -1]].ravel()])
    assert (border > 128).mean() < 0.01  # they stay inside


@pytest.mark.parametrize("shape", [(427, 640), (640, 427), (512, 512), (301, 455)])
def test_the_regions_of_a_photograph_are_a_partition(shape):
    """Fails for one row of overlap, or one that is lost."""
    count = np.zeros(shape, int)
    for box in photos.regions(*shape).values():
        count[box] += 1
    assert (count == 1).all()


@pytest.mark.parametrize("shape", [(427, 640), (640, 427)])
def test_no_crop_mixes_train_and_test_even_through_the_filter(shape):
    """A photograph that is black where it trains and white where it tests. Fails when it is made smaller before it is cut."""
    photo = np.zeros((*shape, 3), np.uint8)
    photo[photos.regions(*shape)["test"]] = 255
    rng = np.random.default_rng(0)
    assert photos.crops(photo, "train", 500, 32, rng).max() == 0
    assert photos.crops(photo, "test", 500, 32, rng).min() == 255


def test_a_crop_is_a_window_of_the_photograph():
    """Rows, columns and colours in their places. Fails for transposed windows."""
    rows, columns = np.meshgrid(np.arange(96), np.arange(160), indexing="ij")
    photo = np.stack([rows, columns, np.full_like(rows, 7)], -1).astype(np.uint8)
    crop = photos.crops(photo, "train", 1, 32, np.random.default_rng(0))[0].astype(int)
    assert (np.diff(crop[..., 0], axis=0) == 1).all() and (np.diff(crop[..., 1], axis=1) == 1).all()
    assert (crop[..., 2] == 7).all()


def test_photos_are_reproducible_named_and_attributed_without_network(monkeypatch):
    """Fails for a draw outside of the seed, or an image that is fetched: no socket can be opened here."""
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the network was tried"))
    made = data.load("photos", "test")
    assert made.digest == photos.photos("test").digest != photos.photos("test", seed=1).digest
    assert made.x.shape == (2048, 32, 32, 3) and {"china", "flower"} <= set(made.classes)
    assert np.ptp(np.bincount(made.labels)) <= 1
    assert "danielbuechele, CC BY" in made.attribution
    means = np.stack([made.x[made.labels == k].mean((0, 1, 2)) for k in range(len(made.classes))])
    assert made.classes[means.sum(1).argmin()] == "hubble_deep_field"
    assert means[made.classes.index("retina")].argmax() == 0  # red


def test_photos_without_scikit_image_are_the_two_of_scikit_learn(monkeypatch):
    found = photos.importlib.util.find_spec
    monkeypatch.setattr(photos.importlib.util, "find_spec", lambda name: None if name == "skimage" else found(name))
    assert photos.photos("test", n=10).classes == ("china", "flower")
    with pytest.raises(ValueError, match="size=500"):
        photos.photos("test", n=10, size=500)
