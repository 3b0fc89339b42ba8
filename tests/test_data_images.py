"""The value of a set of images: pixels and floats, splits that share nothing, batches by key and in epochs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pictures import carried, numbered

from ddjax import data
from ddjax.data import digits, images, photos


def test_every_pixel_survives_the_way_to_floats_and_back():
    """Fails for 128 in place of 127.5, truncation in place of rounding, or a scale of [0, 1]."""
    x = jnp.arange(256, dtype=jnp.uint8)
    floats = data.to_float(x)
    assert floats.dtype == jnp.float32 and (floats[0], floats[-1]) == (-1, 1)
    np.testing.assert_allclose(floats + floats[::-1], 0, atol=2.4e-7)  # grey is zero
    np.testing.assert_array_equal(data.to_uint8(floats), x)
    np.testing.assert_array_equal(data.to_uint8(floats + 0.49 / 127.5), x)


def test_floats_beyond_the_range_are_clipped():
    """Fails when -1.01 wraps around to white."""
    np.testing.assert_array_equal(data.to_uint8(jnp.array([-9.0, -1.01, 1.01, 9.0])), [0, 0, 255, 255])


def test_the_digest_is_that_of_the_content_alone(tmp_path):
    """Fails when pixels, labels or shape are left out, or name, order in memory or file would matter."""
    one = numbered(5)
    np.save(tmp_path / "x.npy", one.x)
    mapped = data.Images(
        np.load(tmp_path / "x.npy", mmap_mode="r"), one.labels, one.classes, "test", "other", flip=True
    )
    assert mapped.digest == one.digest and len(one.digest) == 64
    turned = np.asfortranarray(one.x)
    assert data.Images(turned, one.labels, one.classes, "train", "numbered").digest == one.digest
    brighter = one.x.copy()
    brighter[-1, -1, -1] -= 1
    others = (
        data.Images(brighter, one.labels, one.classes, "train", "numbered"),
        data.Images(one.x, one.labels[::-1].copy(), one.classes, "train", "numbered"),
        data.Images(one.x, None, (), "train", "numbered"),
        data.Images(one.x.reshape(5, 3, 2, 1), one.labels, one.classes, "train", "numbered"),
    )
    assert len({one.digest, *(other.digest for other in others)}) == 5


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("x", "labels", "message"),
    [
        (np.zeros((2, 3, 3, 1), np.float32), None, "uint8"),
        (np.zeros((2, 3, 3), np.uint8), None, r"\[n, h, w, c\]"),
        (np.zeros((0, 3, 3, 1), np.uint8), None, r"\[0, 3"),
        (np.zeros((2, 3, 3, 1), np.uint8), np.zeros(3, np.int32), "as many labels"),
        (np.zeros((2, 3, 3, 1), np.uint8), np.array([0, 2], np.int32), r"0\.\.1, got 0\.\.2"),
        (np.zeros((2, 3, 3, 1), np.uint8), np.array([-1, 1], np.int32), r"0\.\.1, got -1\.\.1"),
    ],
)
def test_what_is_no_set_of_images_is_refused(x, labels, message):
    with pytest.raises(ValueError, match=message):
        data.Images(x, labels, ("a", "b"), "train", "wrong")


def test_the_rows_held_out_are_a_fifth_of_each_class_and_never_train():
    """Fails for a split that depends on the order of the rows, is not stratified, or overlaps."""
    labels = np.repeat([0, 1, 2], [50, 20, 30])
    train, test = (images.held_out(labels, split, every=5, seed=3) for split in ("train", "test"))
    assert sorted([*train, *test]) == list(range(100))
    np.testing.assert_array_equal(np.bincount(labels[test]), [10, 4, 6])
    assert set(test) != set(images.held_out(labels, "test", every=5, seed=4))
    np.testing.assert_array_equal(images.held_out(labels, "test", every=0, seed=0), np.arange(100))


def test_a_batch_is_uniform_with_its_labels_and_half_of_it_is_mirrored_where_that_is_allowed():
    """Fails for labels of other rows, rows that are never drawn, a flip up and down, or one coin for the whole batch."""
    batch = jax.jit(data.batches(numbered(20, flip=True), 4000))(jax.random.key(0))
    number, mirrored = carried(batch)
    np.testing.assert_array_equal(batch.cond, number)
    count = np.bincount(number, minlength=20)
    assert ((count - 200) ** 2 / 200).sum() < 50  # chi square with 19 degrees of freedom: 1e-4
    assert abs(mirrored.mean() - 0.5) < 4 * 0.5 / 4000**0.5
    assert batch.x_0.shape == (4000, 2, 3, 1) and batch.x_0.dtype == jnp.float32


def test_no_digit_is_ever_mirrored():
    """Fails when the flag of the set is ignored; digits, glyphs and IDX files carry it."""
    _, mirrored = carried(jax.jit(data.batches(numbered(20), 4000))(jax.random.key(0)))
    assert not mirrored.any()
    assert not digits.digits().flip
    assert photos.photos("test", n=8).flip


def test_the_data_of_batches_are_arguments_and_not_constants_of_the_program():
    """Fails for a plain closure: the pixels would be compiled in, seconds for 100 MB."""
    batch = data.batches(numbered(200), 4)
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(batch)) >= 200 * 6
    program = jax.jit(lambda batch, key: batch(key)).lower(batch, jax.random.key(0)).as_text()
    assert "200x2x3x1xui8" in program and 'dense<"' not in program
