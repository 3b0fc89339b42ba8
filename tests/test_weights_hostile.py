"""Weight files made to fill, stall or mislead: each is refused at once, by a ValueError that names the file."""

import io
import json
import struct
import time
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal as equal
from torch_spelling import LEGACY, TENSOR, archive, integers, state, storage, tensor

from ddjax.networks import weights


def spelled(*arguments):
    """The opcodes of one tensor, from those of its arguments."""
    return TENSOR + b"(" + b"".join(arguments) + b"tR"


WORD = b"X\x01\x00\x00\x00w"
NESTED = b"".join(b"h" + bytes([i]) + b"h" + bytes([i]) + b"\x86q" + bytes([i + 1]) for i in range(60))
SHARED = [(f"{i:03d}", tensor((10_000_000,), (1,), count=10_000_000)) for i in range(200)]
HOSTILE = {
    "a name of 2^60 tuples": b"\x80\x02})q\x00" + NESTED + b"K\x01s.",
    "a name of tuples": b"\x80\x02}))\x86K\x01s.",
    "a name of a mapping's kind": b"\x80\x02}}K\x01s.",
    "tuples a million deep": b"\x80\x02}(" + WORD + b")" + b"\x85" * 900_000 + b"u.",
    "lists a million deep": b"\x80\x02}(" + WORD + b"]" * 450_000 + b"a" * 449_999 + b"u.",
    "mappings a million deep": b"\x80\x02}" + (WORD + b"}") * 450_000 + b"s" * 450_000 + b".",
    "marks a million deep": b"\x80\x02" + b"(" * 900_000 + b"t" * 900_000 + b".",
    "a mapping in itself": b"\x80\x02}q\x00(" + WORD + b"h\x00u.",
    "a tuple of a thousand": b"\x80\x02}(" + WORD + b"(" + b"K\x01" * 1000 + b"tu.",
    "two million opcodes": b"\x80\x02}" + b"q\x00" * 1_000_000 + b".",
    "two million numbers": b"\x80\x02](" + b"K\x01" * 2_000_000 + b"e.",
    "a number of 4 GB": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "a number of 1 MB": b"\x80\x02\x8b" + struct.pack("<i", 10**6) + b"\xff" * 10**6 + b".",
    "a word of 8 EB": b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f.",
    "a word of 4 GB": b"\x80\x02X\xff\xff\xff\xff.",
    "a frame of 8 EB": b"\x80\x04\x95" + b"\xff" * 7 + b"\x7fN.",
    "a tensor of 2^200 numbers": state(("w", spelled(storage(6), b"K\x00", b"\x8a\x1a" + b"\x01" * 26 + b"\x85", b"K\x01\x85"))),
    "a part of a storage": state(("w", spelled(storage(6)[:-2] + b"K\x01K\x02\x86tQ", b"K\x00", integers(6), integers(1)))),
    "metadata of a list": state(("w", b"]}b")),
    "a call of a word": state(("w", WORD + b")R")),
    "a call of a call": state(("w", b"ccollections\nOrderedDict\n)R)R")),
    "a mapping of itself": state(("w", b"ccollections\nOrderedDict\n(ccollections\nOrderedDict\ntR")),
    "nothing on the stack": b"\x80\x02uRb.",
    "a mark too few": b"\x80\x02}u.",
    "200 names for 40 MB": state()[:4] + b"".join(b"X\x03\x00\x00\x00" + k.encode() + v for k, v in SHARED) + b"u.",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("container", ["zip", "legacy"])
def test_pickles_that_would_fill_or_stall_the_machine_are_refused_at_once(tmp_path, name, container):
    """In a second or two and 100 MB. Fails for any of the bounds taken away: on names, members, opcodes, shared bytes."""
    path, data = tmp_path / "x.pth", HOSTILE[name]
    if container == "legacy":
        path.write_bytes(LEGACY + data)
    elif name.startswith("200"):
        with zipfile.ZipFile(path, "w") as out:
            out.writestr("a/data.pkl", data)
            out.writestr("a/data/0", bytes(40_000_000))
    else:
        archive(path, data)
    began = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"x\.pth") as caught:
            weights.read(path)
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 10 and len(str(caught.value)) < 400 + len(str(path))


def test_tied_weights_share_their_bytes(tmp_path):
    """Two names of one storage are honest. Fails for a bound of one storage for each name, or for copies."""
    path = archive(tmp_path / "x.pth", state(("a", tensor((6,), (1,))), ("b", tensor((2, 3), (3, 1)))))
    read = weights.read(path)
    equal(read["a"], read["b"].reshape(-1))
    assert np.shares_memory(read["a"], read["b"])


def test_a_storage_that_is_a_part_of_another_is_refused(tmp_path):
    """torch before 0.4 wrote such; read as a whole they would be other numbers."""
    path = archive(tmp_path / "x.pth", HOSTILE["a part of a storage"])
    with pytest.raises(ValueError, match="not a storage"):
        weights.read(path)


def lies():
    good = state(("w", tensor((6,), (1,))))
    numbers = np.arange(6, dtype=np.float32).tobytes()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as out:
        out.writestr("a/data.pkl", good)
        out.writestr("a/data/0", numbers)
    whole = bytearray(file.getvalue())
    directory = whole.index(b"PK\x01\x02", whole.index(b"PK\x01\x02") + 1)  # of the second member

    def changed(place, value):
        content = bytearray(whole)
        content[directory + place : directory + place + len(value)] = value
        return bytes(content)

    yield "packed size", changed(20, b"\xfe\xff\xff\x7f")
    yield "both sizes", changed(20, b"\xfe\xff\xff\x7f" * 2)
    yield "place", changed(42, b"\xff\xff\xff\x7f")
    yield "encrypted", changed(8, b"\x01\x00")
    yield "method", changed(10, b"\x63\x00")
    yield "version", changed(6, b"\xff\x00")
    yield "checksum", changed(16, b"\x00\x00\x00\x00")
    yield "zip in a zip", bytes(whole) + bytes(whole)[:-8] + b"\xff\xff\xff\xff\xff\xff\x00\x00"
    for name, members in {
        "twice": ["a/data.pkl", "a/data/0", "a/data/0"],
        "upwards": ["../data.pkl", "../data/0", "b/data.pkl"],
        "only a link": ["a/data/0"],
    }.items():
        file = io.BytesIO()
        with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as out:
            warnings.simplefilter("ignore")
            for member in members:
                out.writestr(member, good if member.endswith("pkl") else numbers)
        yield name, file.getvalue()


@pytest.mark.parametrize(("name", "content"), list(lies()), ids=lambda value: value if isinstance(value, str) else "")
def test_zip_archives_that_lie_are_refused(tmp_path, name, content):
    """Fails where a directory's word is taken for the size, place or number of members."""
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.pth"):
        weights.read(tmp_path / "x.pth")


F32 = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        *(({"w": F32 | {"dtype": kind}}, f"of dtype '{kind}'") for kind in ("F8_E4M3", "F8_E5M2", "F4", "C64", "X")),
        ('{"w": %s, "w": %s}' % ((json.dumps(F32),) * 2), "two entries have one name"),
        ({"w": F32, "v": F32}, "offset"),
        ({"w": F32 | {"shape": [2**40, 2**40]}}, "overflow"),
        ({"w": F32 | {"shape": [-1]}}, "invalid"),
        ({"w": F32 | {"shape": [0, 2**62], "data_offsets": [0, 0]}, "v": F32}, "too big"),
        ({"w": F32 | {"shape": [1] * 100}}, "64"),
        ({"w": F32 | {"data_offsets": [0, 2**63]}}, "x.safetensors"),
        ({"w": 1}, "x.safetensors"),
        ('{"a": ' + "[" * 100_000, "x.safetensors"),
        ('{"w": ', "x.safetensors"),
        ({"w": F32 | {"dtype": "BOOL", "shape": [4]}}, "neither 0 nor 1"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_safetensors_of_other_numbers_or_headers_are_refused(tmp_path, header, message):
    """Fails for an AttributeError from numpy's missing float8, or the last of two entries taken without a word."""
    header = (header if isinstance(header, str) else json.dumps(header)).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\x02\x03\x04\x05")
    with pytest.raises(ValueError, match=message) as caught:
        weights.read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("length", [2**63, 2**40, 2**27, 30, 0])
def test_a_safetensors_header_is_no_longer_than_the_file(tmp_path, length):
    (tmp_path / "x").write_bytes(struct.pack("<Q", length) + b'{"w":')
    with pytest.raises(ValueError, match="cannot read weights from"):
        weights.read(tmp_path / "x")
