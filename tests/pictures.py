"""Small images that the tests of `ddjax.data` make."""

import numpy as np
from PIL import Image

from ddjax import data

RNG = np.random.default_rng(0)


def pixels(*shape):
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def numbered(n, flip=False):
    """Images that carry their own number in every pixel of the left column, and 255 in the right one."""
    x = np.zeros((n, 2, 3, 1), np.uint8)
    x[:, :, 0, 0], x[:, :, 2, 0] = np.arange(n)[:, None], 255
    return data.Images(x, np.arange(n, dtype=np.int32), tuple(map(str, range(n))), "train", "numbered", flip=flip)


def carried(batch):
    """The number and the side of each image of `numbered`: which column is 255 tells whether it was mirrored."""
    x = np.asarray(data.to_uint8(batch.x_0))
    mirrored = x[:, 0, 0, 0] == 255
    return np.where(mirrored, x[:, 0, -1, 0], x[:, 0, 0, 0]), mirrored


def paint(path, colour=(9, 8, 7), size=(6, 4), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path
