"""Sets of images: pixels and floats, splits that share nothing, batches, and what each source must refuse."""

import gzip
import io
import os
import tarfile
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from ddjax import data
from ddjax.data import cache, cifar, digits, folders, glyphs, idx, images, photos, streams

RNG = np.random.default_rng(0)


def pixels(*shape):
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def numbered(n, flip=False):
    """Images that carry their own number in every pixel of the left column, and 255 in the right one."""
    x = np.zeros((n, 2, 3, 1), np.uint8)
    x[:, :, 0, 0], x[:, :, 2, 0] = np.arange(n)[:, None], 255
    return data.Images(x, np.arange(n, dtype=np.int32), tuple(map(str, range(n))), "train", "numbered", flip=flip)


# pixels and floats


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


# the value


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


# batches


def carried(batch):
    """The number and the side of each image of `numbered`: which column is 255 tells whether it was mirrored."""
    x = np.asarray(data.to_uint8(batch.x_0))
    mirrored = x[:, 0, 0, 0] == 255
    return np.where(mirrored, x[:, 0, -1, 0], x[:, 0, 0, 0]), mirrored


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


@pytest.mark.parametrize("size", [4, 5, 12])
def test_an_epoch_visits_each_example_once(size):
    """Fails when batches at the seam of two epochs lose or repeat examples, or every epoch has the same order."""
    resident = images.resident(numbered(12))
    draw = jax.jit(lambda step: images.draw_in_epochs(resident, jax.random.key(1), step, size))
    batches = [draw(jnp.int32(step)) for step in range(12 * 3 // size + 1)]
    stream = np.concatenate([carried(batch)[0] for batch in batches])[:36].reshape(3, 12)
    np.testing.assert_array_equal(np.sort(stream, axis=1), np.tile(np.arange(12), (3, 1)))
    assert len({tuple(epoch) for epoch in stream}) == 3
    np.testing.assert_array_equal(carried(draw(jnp.int32(2)))[0], carried(batches[2])[0])


def test_a_batch_larger_than_an_epoch_is_refused():
    with pytest.raises(ValueError, match="n=13"):
        images.draw_in_epochs(images.resident(numbered(12)), jax.random.key(0), 0, 13)


# embedded sets


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


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("DDJAX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


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


def test_the_cache_is_read_whole_or_made_again(kept):
    """Fails when a flipped pixel is believed, a cut file stops the run, or a draft is left behind."""
    made = glyphs.glyphs("train", n=20)
    (file,) = kept.iterdir()
    content = file.read_bytes()
    assert glyphs.glyphs("train", n=20).digest == made.digest
    (file).write_bytes(content[: len(content) // 2])
    with pytest.warns(UserWarning, match="is damaged"):
        assert glyphs.glyphs("train", n=20).digest == made.digest
    assert [entry.name for entry in kept.iterdir()] == [file.name]
    changed = dict(np.load(file))
    changed["x"][3, 14, 14] ^= 1
    np.savez(file, **changed)  # sound as a zip, and yet not what was kept
    with pytest.warns(UserWarning, match="not what was written"):
        assert glyphs.glyphs("train", n=20).digest == made.digest
    assert file.read_bytes() == content


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    monkeypatch.setenv("DDJAX_CACHE", str(tmp_path / "file" / "below"))
    (tmp_path / "file").write_text("not a folder")
    with pytest.warns(UserWarning, match="set DDJAX_CACHE"):
        assert len(glyphs.glyphs("test", n=10).x) == 10


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


# IDX


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
    for head, message in ((words(0x803, 12, 4, 3), "got more"), (words(0x803, 2**20, 20, 10), "decompression bomb")):
        path.write_bytes(gzip.compress(head + bytes(200 * 2**20), 1))
        tracemalloc.start()
        with pytest.raises(ValueError, match=message):
            idx.read_idx(path, 3)
        assert tracemalloc.get_traced_memory()[1] < 10e6
        tracemalloc.stop()


# CIFAR-10


def records(n=3):
    """Red is the row, green the column, blue the number of the record, and the label too."""
    x = np.zeros((n, 3, 32, 32), np.uint8)
    x[:, 0], x[:, 1] = np.arange(32)[:, None], np.arange(32)
    x[:, 2] = np.arange(n)[:, None, None]
    return np.c_[np.arange(n, dtype=np.uint8), x.reshape(n, -1)].tobytes()


def archive(path, members):
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for member, content in members:
            member = tarfile.TarInfo(member) if isinstance(member, str) else member
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def members(content=None):
    return [(f"{cifar.FOLDER}/{name}", content or records()) for names in cifar.FILES.values() for name in names]


@pytest.fixture
def small(monkeypatch):
    """Three records in a file in place of 10,000."""
    monkeypatch.setattr(cifar, "RECORDS", 3)


@pytest.mark.usefixtures("small")
def test_cifar_is_read_from_folder_and_archive_without_extracting(tmp_path):
    """Red, green and blue are planes, row by row. Fails for columns first, BGR, or a file that appears."""
    (tmp_path / "out" / cifar.FOLDER).mkdir(parents=True)
    for name, content in members():
        (tmp_path / "out" / name).write_bytes(content)
    extra = [(f"{cifar.FOLDER}/readme.html", b"<html>"), (f"{cifar.FOLDER}/batches.meta.txt", b"airplane")]
    packed = archive(tmp_path / cifar.ARCHIVE, extra + members())
    for source in (tmp_path / "out", tmp_path / "out" / cifar.FOLDER, packed, tmp_path):
        found = data.load(source)
        assert (len(found.x), found.flip, found.classes[2]) == (15, True, "bird")
        np.testing.assert_array_equal(found.x[4, :, 0, 0], np.arange(32))
        np.testing.assert_array_equal(found.x[4, 0, :, 1], np.arange(32))
        np.testing.assert_array_equal(found.x[:, 5, 5, 2], found.labels)
        assert len(data.load(source, "test").x) == 3
    assert sorted(os.listdir(tmp_path)) == [cifar.ARCHIVE, "out"]


def odd(name, kind, target=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


BAD_ARCHIVES = {
    "outside": ([("../evil.bin", b"x"), *members()], "points outside"),
    "absolute": ([("/etc/evil", b"x"), *members()], "points outside"),
    "inside out": ([(f"{cifar.FOLDER}/../../evil", b"x"), *members()], "points outside"),
    "symlink": ([(odd(f"{cifar.FOLDER}/data_batch_1.bin", tarfile.SYMTYPE, "/etc/passwd"), b"")], "a link or a device"),
    "hard link": (
        [(odd(f"{cifar.FOLDER}/data_batch_1.bin", tarfile.LNKTYPE, "/etc/passwd"), b"")],
        "a link or a device",
    ),
    "device": ([(odd(f"{cifar.FOLDER}/null", tarfile.CHRTYPE), b""), *members()], "a link or a device"),
    "size": (members(records()[:-1]), "must have 9,219 bytes, got 9,218"),
    "missing": (members()[1:], r"has no cifar-10-batches-bin/data_batch_1.bin"),
    "elsewhere": ([(name.split("/")[1], content) for name, content in members()], "has no"),
    "labels": (members(b"\x0a" + records()[1:]), r"0\.\.9, got 1\.\.10"),
    "pickles": (
        [(f"{cifar.PICKLED}/data_batch_1", b"cos\nsystem\n(S'id'\ntR.")],
        "Python version of CIFAR-10: pickles",
    ),
    "bomb": ([("zeros", bytes(40 * 2**20)), *members()], "decompression bomb"),
}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_archives_that_are_not_cifar_are_refused_and_nothing_is_written(tmp_path, case):
    content, message = BAD_ARCHIVES[case]
    (tmp_path / "in").mkdir()
    path = archive(tmp_path / "in" / "set.tar.gz", content)
    with pytest.raises(ValueError, match=message):
        data.load(path)
    assert os.listdir(tmp_path) == ["in"] and os.listdir(tmp_path / "in") == ["set.tar.gz"]


@pytest.mark.usefixtures("small")
def test_folders_that_are_not_cifar_are_refused(tmp_path):
    for name, content in members():
        (tmp_path / name.split("/")[1]).write_bytes(content)
    (tmp_path / "data_batch_4.bin").write_bytes(records()[:-1])
    with pytest.raises(ValueError, match=r"data_batch_4.bin must have 9,219 bytes, got 9,218"):
        data.load(tmp_path)
    (tmp_path / "data_batch_4.bin").unlink()
    with pytest.raises(ValueError, match=r"data_batch_4.bin must have 9,219 bytes, got no file"):
        data.load(tmp_path)
    (tmp_path / "py" / cifar.PICKLED).mkdir(parents=True)
    with pytest.raises(ValueError, match="refused; get the binary version"):
        data.load(tmp_path / "py")


# arrays


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
    """Each by its own message; the pickle is not run, and the bomb not inflated."""
    cases = {
        "uint8": {"x": np.zeros((4, 3, 3))},
        "got .'labels'.": {"labels": np.zeros(4, int)},
        "whole numbers": {"x": pixels(4, 3, 3), "labels": np.zeros(4)},
        "whole numbers .4.": {"x": pixels(4, 3, 3), "labels": np.zeros(3, int)},
        "labels must lie": {"x": pixels(4, 3, 3), "labels": np.array([0, 1, 2, 2**40])},
        "Python objects": {"x": np.array([Trap(tmp_path / "run")], object)},
        "decompression bomb": {"x": np.zeros((100, 500, 500), np.uint8)},
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


# folders


def paint(path, colour=(9, 8, 7), size=(6, 4), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path


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


def test_what_is_nothing_is_told(tmp_path, kept):
    with pytest.raises(FileNotFoundError, match=r"neither a file, a folder, nor one of digits"):
        data.load(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"python -m experiments.fetch cifar10"):
        data.load("cifar10")
    (tmp_path / "text.bin").write_text("text")
    with pytest.raises(ValueError, match=r"is not a .npz"):
        data.load(tmp_path / "text.bin")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="has no images"):
        data.load(tmp_path / "empty")
    assert not kept.exists() and cache.folder() == kept


# streams


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
