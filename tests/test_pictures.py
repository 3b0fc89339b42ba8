"""Pictures of samples: their bytes, and where each of them stands."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from ddjax import data
from ddjax.runs import pictures
from ddjax.types import Batch
from experiments.common.images import report as images
from experiments.family import report as rivals
from experiments.two_moons import flows
from experiments.two_moons import report as moons


def test_pictures_are_the_samples_in_rows_and_bytes():
    """Numbered images in columns by class, magnified by whole factors, as the package rounds. Mutation: columns for rows."""
    values = np.linspace(-1.5, 1.5, 7, dtype=np.float32)
    np.testing.assert_array_equal(pictures.pixels(values), data.to_uint8(jnp.asarray(values)))
    samples = np.broadcast_to(np.arange(5, dtype=np.uint8)[:, None, None, None], (5, 33, 32, 1))
    shown = pictures.grid(samples, 3)[..., 0]
    assert shown.shape == (2 * 68, 3 * 66)
    np.testing.assert_array_equal(shown[10::68, 10::66], [[0, 1, 2], [3, 4, 128]])
    assert (shown[66:68] == 128).all() and (shown[:, 64:66] == 128).all()


def test_images_are_known_by_their_channels():
    """Grey or colour, height and width. Mutations: any number of channels; vectors."""
    shapes = [(5, 6, 1), (5, 6, 3), (5, 6, 4), (5, 6), (3,), (1, 5, 6, 3)]
    assert [pictures.are_images(shape) for shape in shapes] == [True, True, False, False, False, False]


@pytest.mark.parametrize(("classes", "shape"), [(0, (10, 10)), (1, (10, 10)), (16, (7, 16)), (17, (10, 10))])
def test_a_page_of_pictures_has_at_most_a_hundred(tmp_path, classes, shape):
    """120 images of 64 x 64 as a grid with lines of two pixels; a column for each of 2 to 16 classes, else ten."""
    pictures.write(tmp_path / "a.png", np.zeros((120, 64, 64, 1), np.uint8), classes)
    rows, columns = shape
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (66 * columns, 66 * rows)


def test_held_out_images_come_by_class_as_samples_do():
    """Classes in turns while they last, all images once; in a random order where there are none.

    Mutations: classes in the order of the set; the first image of each class, which is not the first each time.
    """
    labels = np.array([2, 0, 0, 1, 2, 0], np.int32)
    held_out = data.Images(np.arange(6, dtype=np.uint8)[:, None, None, None], labels, ("a", "b", "c"), "test", "some")
    shown = images.by_class(held_out, 6).ravel()
    assert labels[shown].tolist() == [0, 1, 2, 0, 2, 0] and sorted(shown) == [*range(6)]
    many = data.Images(
        np.arange(60, dtype=np.uint8)[:, None, None, None], np.repeat(labels, 10), ("a", "b", "c"), "test", "some"
    )
    assert set(images.by_class(many, 3).ravel().tolist()) != {10, 30, 0}
    plain = images.by_class(data.Images(held_out.x, None, (), "test", "some"), 6).ravel().tolist()
    assert sorted(plain) == [*range(6)] != plain


def test_points_are_coloured_by_the_class_they_were_told_or_their_moon():
    """Of both pages, in the units of each. Mutations: the moons exchanged; the nearer moon of points that were told a class."""
    points = np.array([[0.0, 1.0], [1.0, -0.5], [-1.0, 0.1], [2.0, 0.4]])
    assert flows.nearer_moon(points).tolist() == [0, 1, 0, 1]
    told = moons.shown(Batch(jnp.asarray(points), jnp.ones(4, jnp.int32)), 3)
    assert told.classes.tolist() == [1, 1, 1] and len(told.points) == 3
    assert moons.shown(Batch(jnp.asarray(points)), 4).classes.tolist() == [0, 1, 0, 1]
    means = np.asarray(rivals.target_of("moons").law.means)
    half = len(means) // 2
    assert rivals.moon_of(means[[0, half - 1, half, -1]]).tolist() == [0, 0, 1, 1]
