"""Files as torch.save lays them out, spelled by hand: opcode by opcode, so that tests can spell them wrong."""

import pickle
import struct
import zipfile

import numpy as np

from ddjax.networks import torch_files

TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"
LEGACY = b"".join(
    pickle.dumps(part, 2)
    for part in (
        torch_files._LEGACY_MAGIC,
        torch_files._LEGACY_VERSION,
        {"little_endian": True, "type_sizes": {"int": 4}},
    )
)


def storage(count, key="0", kind="FloatStorage"):
    """The opcodes of a persistent reference to a storage."""
    word = lambda text: b"X" + struct.pack("<I", len(text)) + text.encode()  # noqa: E731
    return (
        b"("
        + word("storage")
        + f"ctorch\n{kind}\n".encode()
        + word(key)
        + word("cpu")
        + b"J"
        + struct.pack("<i", count)
        + b"tQ"
    )


def integers(*values):
    return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"


def tensor(shape, strides, offset=0, count=6):
    """The opcodes of one tensor."""
    view = storage(count) + b"J" + struct.pack("<i", offset) + integers(*shape) + integers(*strides)
    return TENSOR + b"(" + view + b"\x89ccollections\nOrderedDict\n)RtR"


def state(*entries):
    """A pickled dict of named opcodes."""
    body = b"".join(b"X\x01\x00\x00\x00" + name.encode() + value for name, value in entries)
    return b"\x80\x02}(" + body + b"u."


def archive(path, data, *, compression=zipfile.ZIP_STORED, extra=()):
    """A file as torch.save lays it out."""
    with zipfile.ZipFile(path, "w", compression) as out:
        out.writestr("a/data.pkl", data)
        out.writestr("a/data/0", np.arange(6, dtype=np.float32).tobytes())
        for name, content in extra:
            out.writestr(name, content)
    return path
