"""IDX files: read as they are, refused where header and content disagree."""

import gzip

import numpy as np
import pytest
from pictures import pixels

from ddjax import data
from ddjax.data import idx


def words(*values):
    return b"".join(value.to_bytes(4, "big") for value in values)


@pytest.fixture
def mnist(tmp_path):
    """A folder of IDX files: train plain, test compressed; the first labels are those of Fashion-MNIST."""
    x, labels = pixels(12, 4, 3), np.array([9, 0, 0, 3, 0, 2, 7, 2, 5, 5, 1, 1], np.uint8)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(words(0x803, 12, 4, 3) + x.tobytes())
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(words(0x801, 12) + labels.tobytes())
    (tmp_path / "t10k-images.idx3-ubyte.gz").write_bytes(gzip.compress(words(0x803, 12, 4, 3) + x.tobytes()))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(words(0x801, 12) + labels.tobytes()))
    return tmp_path, x, labels


def test_idx_files_are_read_compressed_or_not_and_recognised(mnist):
    """Fails for columns before rows, or little-endian words."""
    folder, x, labels = mnist
    for split in ("train", "test"):
        found = data.load(folder, split)
        np.testing.assert_array_equal(found.x[..., 0], x)
        np.testing.assert_array_equal(found.labels, labels)
        assert (found.name, found.classes[9], found.flip, found.split) == ("fashion_mnist", "Ankle boot", False, split)


IMAGES, LABELS = words(0x803, 12, 4, 3) + pixels(144).tobytes(), words(0x801, 12) + bytes(12)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-images-idx3-ubyte", IMAGES[:-1], r"needs 144 bytes, got 143"),
        ("train-images-idx3-ubyte", IMAGES + b"x", r"needs 144 bytes, got (145|more)"),
        ("train-images-idx3-ubyte", IMAGES[:10], "magic number"),
        ("train-images-idx3-ubyte", LABELS, r"magic number must be 0x803, got 0x801"),
        ("train-images-idx3-ubyte", words(0x803, 0, 4, 3), "is empty"),
        ("train-images-idx3-ubyte", words(0x803, 2**31, 2**16, 2**16), "needs|bomb"),
        ("train-labels-idx1-ubyte", IMAGES, r"magic number must be 0x801, got 0x803"),
        ("train-labels-idx1-ubyte", words(0x801, 11) + bytes(11), "12 images need as many labels"),
        ("train-labels-idx1-ubyte", LABELS[:-1] + b"\x0a", r"0\.\.9, got 0\.\.10"),
        ("train-labels-idx1-ubyte", None, "has no train-labels"),
    ],
)
def test_idx_files_that_do_not_hold_what_they_say_are_refused(mnist, name, content, message, pack):
    """Fails when header and size are not compared, before memory is given for them."""
    folder, _, _ = mnist
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(pack(content))
    with pytest.raises(ValueError, match=message):
        data.load(folder)


def test_a_compressed_file_is_not_inflated_past_its_header(tmp_path):
    """200 MB of zeros behind an honest head of 144 bytes, and a head that promises them. Fails when it is read to its end."""
    import tracemalloc

    path = tmp_path / "bomb.gz"
    for head, message in (
        (words(0x803, 12, 4, 3), "got more"),
        (words(0x803, 2**20, 2**10, 2**10), "decompression bomb"),
    ):
        path.write_bytes(gzip.compress(head + bytes(200 * 2**20), 1))
        tracemalloc.start()
        with pytest.raises(ValueError, match=message):
            idx.read_idx(path, 3)
        assert tracemalloc.get_traced_memory()[1] < 10e6
        tracemalloc.stop()
