"""Streams: a place to go on from, whatever was read ahead, and the images that a set would give at once."""

import numpy as np
import pytest
from pictures import carried, numbered, paint

from ddjax import data
from ddjax.data import folders, streams


def test_a_stream_goes_on_where_its_state_says(tmp_path):
    """From a memory map: order, mirror images and seams of epochs. Fails when the state counts read-ahead rows."""
    np.save(tmp_path / "x.npy", numbered(20).x)
    mapped = data.Images(
        np.load(tmp_path / "x.npy", mmap_mode="r"),
        *(numbered(20).labels, numbered(20).classes),
        "train",
        "map",
        flip=True,
    )
    stream = streams.Stream(mapped, 8, seed=5)
    first = [next(stream) for _ in range(2)]
    state = stream.get_state()
    after = [next(stream) for _ in range(4)]
    other = streams.Stream(mapped, 8, seed=5)
    other.set_state(state)
    for expected, found in zip(after, (next(other) for _ in range(4)), strict=True):
        np.testing.assert_array_equal(found.x_0, expected.x_0)
        np.testing.assert_array_equal(found.cond, expected.cond)
    numbers, mirrored = map(np.concatenate, zip(*map(carried, first + after), strict=True))
    np.testing.assert_array_equal(numbers, np.concatenate([batch.cond for batch in first + after]))
    assert sorted(numbers[:20]) == sorted(numbers[20:40]) == list(range(20)) and list(numbers[:20]) != list(
        numbers[20:40]
    )
    assert 0 < mirrored.sum() < 48
    with pytest.raises(ValueError, match="another stream"):
        streams.Stream(mapped, 8, seed=6).set_state(state)
    with pytest.raises(ValueError, match="not the state"):
        stream.set_state("[]")
    with pytest.raises(ValueError, match="size=21"):
        streams.Stream(mapped, 21)


def test_a_folder_streams_the_images_that_it_would_read(tmp_path):
    for i in range(6):
        paint(tmp_path / "ab"[i % 2] / f"{i}.png", (i, 0, 0))
    folder = folders.scan(tmp_path, every=0)
    whole = folders.read(folder)
    batch = next(streams.Stream(folder, 6))
    order = np.argsort(np.asarray(batch.x_0)[:, 0, 0, 0])
    np.testing.assert_array_equal(data.to_uint8(batch.x_0)[order], whole.x[np.argsort(whole.x[:, 0, 0, 0])])
    np.testing.assert_array_equal(np.asarray(batch.cond)[order], [0, 1, 0, 1, 0, 1])
