"""Weight files made to fill, stall or mislead: each is refused at once, by a ValueError that names the file."""

import json
import struct

import pytest

from ddjax.networks import weights

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
