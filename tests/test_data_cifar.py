"""CIFAR-10: read from folder and archive without extracting, refused where it is anything else."""

import io
import os
import tarfile

import numpy as np
import pytest

from ddjax import data
from ddjax.data import cifar


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
    (tmp_path / "data_batch_4.bin").write_bytes(records()[:-1])  # not whole records
    with pytest.raises(ValueError, match=r"data_batch_4.bin must have 9,219 bytes, got 9,218"):
        data.load(tmp_path)
    (tmp_path / "data_batch_4.bin").unlink()
    with pytest.raises(ValueError, match=r"data_batch_4.bin must have 9,219 bytes, got no file"):
        data.load(tmp_path)
    (tmp_path / "py" / cifar.PICKLED).mkdir(parents=True)
    with pytest.raises(ValueError, match="refused; get the binary version"):
        data.load(tmp_path / "py")


@pytest.mark.usefixtures("small")
def test_fewer_whole_records_are_read_and_said_not_to_be_cifar(tmp_path):
    """From a folder, an archive and one file. Mutations: no warning; cifar10 for a name; records lost at the split."""
    short = members(records(2))
    (tmp_path / "set").mkdir()
    for name, content in short:
        (tmp_path / "set" / name.split("/")[1]).write_bytes(content)
    packed = archive(tmp_path / "short.tar.gz", short)
    for source in (tmp_path / "set", packed):
        with pytest.warns(UserWarning, match="is not CIFAR-10's.*10 images to train, CIFAR-10 has 15"):
            found = data.load(source)
        assert (len(found.x), found.name != "cifar10", found.classes[2]) == (10, True, "bird")
    lone = tmp_path / "mine.bin"
    lone.write_bytes(records(3) * 4)
    with (
        pytest.warns(UserWarning, match="is not CIFAR-10's.*one file of 12 images"),
        pytest.warns(UserWarning, match="classes without a test image: 'automobile'"),
    ):
        train, test = (data.load(lone, split) for split in ("train", "test"))
    assert (len(train.x), len(test.x)) == (10, 2)
    lone.write_bytes(records(3)[:-1])
    with pytest.raises(ValueError, match=r"is not a .npz"):
        data.load(lone)
