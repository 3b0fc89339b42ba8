"""The reader of .npz and .npy files: what numpy writes comes back, and whatever else a path may be is told by its name."""

import io
import os
import zipfile

import numpy as np
import pytest

from ddjax.data import bounds, npz

ARRAYS = {
    "bytes": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    "columns first": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big endian": np.arange(5, dtype=">i4"),
    "half": np.arange(3, dtype=np.float16),
    "mask": np.array([True, False]),
    "names": np.array(["cat", "dög"]),
    "nothing": np.zeros((0, 3)),
    "one": np.array(3),
    "no word": np.array(""),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_comes_back(tmp_path, save):
    """Mutations: order C for all; bytes swapped; an empty array refused."""
    save(tmp_path / "a.npz", **ARRAYS)
    found = npz.read(tmp_path / "a.npz")
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
        if array.size:
            np.save(tmp_path / "a.npy", array)
            mapped = npz.mapped(tmp_path / "a.npy")
            assert isinstance(mapped, np.memmap)
            np.testing.assert_array_equal(mapped, array)


def member(header, content=b""):
    """An array whose header is what is given."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (2,)} | header)
    return file.getvalue() + content


def zipped(path, **members):
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)


MEMBERS = {
    "lies": (member({"shape": (10**6, 10**6)}, bytes(100)), "its size says otherwise"),
    "nothing of much": (member({"descr": "|S0", "shape": (10**15,)}), "booleans, numbers or text"),
    "negative": (member({"shape": (-2, -1)}, bytes(2)), "its size says otherwise"),
    "objects": (member({"descr": "|O", "shape": (1,)}, b"\x80\x04N."), "Python objects"),
    "records": (member({"descr": [("r", "|u1"), ("g", "|u1")]}, bytes(4)), "booleans, numbers or text"),
    "dates": (member({"descr": "<M8[s]", "shape": (1,)}, bytes(8)), "booleans, numbers or text"),
    "complex": (member({"descr": "<c8", "shape": (1,)}, bytes(8)), "booleans, numbers or text"),
    "version": (b"\x93NUMPY\x09\x00" + bytes(100), "version"),
    "text": (b"hello", "magic string"),
    "nested": (b"\x93NUMPY\x01\x00\x10\x27" + b"(" * 10_000, "can be read"),
}


@pytest.mark.parametrize("case", MEMBERS)
def test_arrays_that_are_not_what_they_say_are_refused_by_name(tmp_path, case):
    """In a zip and alone. Mutations: the size not compared; one kind of element more."""
    content, message = MEMBERS[case]
    zipped(tmp_path / "a.npz", x=content)
    (tmp_path / "a.npy").write_bytes(content)
    for read, name in ((npz.read, "a.npz"), (npz.mapped, "a.npy")):
        with pytest.raises(ValueError, match=message) as error:
            read(tmp_path / name)
        assert name in str(error.value)


def loop(path):
    path.symlink_to(path.with_name("other"))
    path.with_name("other").symlink_to(path)


PLACES = {
    "folder": (lambda path: path.mkdir(), "a folder, not a file"),
    "pipe": (os.mkfifo, "a pipe or a device"),
    "loop": (loop, "[Tt]oo many levels|[Ss]ymbolic"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "a pipe or a device"),
    "empty": (lambda path: path.touch(), "can be read"),
    "the other kind": (lambda path: zipped(path, x=member({}, bytes(2))), "can be read"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("read", [npz.read, npz.mapped])
def test_paths_that_are_no_files_are_told_and_never_waited_for(tmp_path, place, read):
    """Mutation: open first, and a pipe without a writer waits for ever."""
    make, message = PLACES[place]
    path = tmp_path / "x.npy"
    if (place, read) == ("the other kind", npz.read):
        np.save(path, np.zeros(3))  # an .npy where a zip is wanted
    else:
        make(path)
    with pytest.raises(ValueError, match=message) as error:
        read(path)
    assert "x.npy" in str(error.value)


def test_zeros_are_read_and_more_than_memory_is_not(tmp_path, monkeypatch):
    """25 MB of zeros in 25 kB are an honest mask; what would fill more than the bound is refused before it is inflated.

    Mutations: the ratio alone bounded; the sizes of the members not added up.
    """
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((100, 500, 500), np.uint8), y=np.zeros(10**6, np.uint8))
    assert npz.read(tmp_path / "a.npz")["x"].shape == (100, 500, 500)
    monkeypatch.setattr(bounds, "LARGEST", 255 * 10**5)
    with pytest.raises(ValueError, match=r"would fill 26,000,[0-9]+ bytes"):
        npz.read(tmp_path / "a.npz")
    monkeypatch.setattr(bounds, "LARGEST", 2**40)
    monkeypatch.setattr(bounds, "FREE", 10**7)
    with pytest.raises(ValueError, match="decompression bomb"):
        npz.read(tmp_path / "a.npz")
