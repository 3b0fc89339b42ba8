"""Damages files and has them read until all are read; `test_readers_fuzz` starts it as a process of its own and watches it.

Bytes are flipped, cut, doubled, dropped, made huge, or swapped for words of the formats; in half of the rounds below the wrapping
(gzip, zip, length of a header), which is then made right again, so that no checksum hides the damage. A reader returns, or
raises one line that names the file. What is read is told before it is read: the last line on stdout names what killed the
process.
"""

import gzip
import io
import os
import random
import resource
import struct
import time
import warnings
import zipfile
from pathlib import Path

from ddjax import cli

WORDS = [
    b"\xff\xff\xff\x7f", b"\xff" * 8, b"\x7f\xff\xff\xff", bytes(8), b"(", b")", b"\x85", b"q\x00h\x00", b"]", b"}",
    b"u", b"s", b"b", b"R", b"Q", b".", b"\x80\x04", b"\x95" + b"\xff" * 8, b"\x8b\xff\xff\xff\x7f",
    b"cposix\nsystem\n", b"ctorch\nHalfStorage\n", b"[" * 3000, b"{a: ", b"&a ", b"*a", b"!!python/name:os.system ",
    b"!!float x", b"? ", b"- ", b": ", b"\n---\n", b"0x_", b"1e999", b'"F8_E4M3"', b'"dtype"', b"-1",
    b"99999999999999999999", b"'|O'", b"'<f8'", b"(1, 2", b"NaN", b"PK\x01\x02", b"PK\x05\x06", b"../", b"\x00",
    b"\xc3", b"\xf0\x9f\x98\x80", b"true", b"null",
]  # fmt: skip


def damaged(content, chance):
    content = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4))):
        i, n = chance.randrange(len(content) + 1), chance.randint(1, 40)
        match chance.randrange(7):
            case 0 if i < len(content):
                content[i] ^= chance.randint(1, 255)
            case 1 if chance.random() < 0.3:
                del content[i:]
            case 2:
                content[i:i] = content[i : i + n]
            case 3:
                del content[i : i + n]
            case 4:
                word = chance.choice(WORDS)
                content[i : i + len(word)] = word
            case _:
                content[i:i] = chance.choice(WORDS)
    return bytes(content)


def packed(members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as out:
        for name, content in members.items():
            out.writestr(name, content)
    return file.getvalue()


def within(content, chance):
    """Damaged below its wrapping, which is made anew."""
    if content[:2] == b"\x1f\x8b":
        return gzip.compress(damaged(gzip.decompress(content), chance), 1)
    if content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            members = {name: file.read(name) for name in file.namelist()}
        name = chance.choice(sorted(members))
        return packed(members | {name: damaged(members[name], chance)})
    if content[8:9] == b"{":
        (length,) = struct.unpack("<Q", content[:8])
        header = damaged(content[8 : 8 + length], chance)
        return struct.pack("<Q", len(header)) + header + content[8 + length :]
    return damaged(content, chance)


def attempt(name, path, read):
    """Whether a file was read. Raises: AssertionError for an error of another kind, or a second that is lost."""
    began = time.process_time()
    try:
        read(path)
        return True
    except (ValueError, cli.UserError) as error:
        told = str(error)
        assert str(path.parent) in told, f"{name}: does not name the file: {told!r}"
        assert len(told) < 1500 and "\n" not in told.strip(), f"{name}: not one line: {told!r}"
        return False
    finally:
        lost = time.process_time() - began
        assert lost < 2, f"{name}: {lost:.1f} seconds"


def main(formats, folder, rounds, megabytes, seconds):
    """Each format {name: (file, intact content, read)} in `rounds` damages, under limits on memory and CPU beyond those held."""
    warnings.simplefilter("ignore")
    for name, (file, content, read) in formats.items():  # also imports what they need, before memory is counted
        path = folder / name / file
        path.parent.mkdir()
        path.write_bytes(content)
        assert attempt(name, path, read), f"{name}: the intact file is refused"
    held = int(next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmData" in line).split()[1])
    resource.setrlimit(resource.RLIMIT_DATA, (held * 1024 + megabytes * 2**20,) * 2)
    spent = sum(os.times()[:2])
    resource.setrlimit(resource.RLIMIT_CPU, (int(spent) + seconds,) * 2)
    for name, (file, content, read) in formats.items():
        chance, outcomes = random.Random(name), [0, 0]
        path = folder / name / file
        for n in range(rounds):
            found = (within if chance.random() < 0.5 else damaged)(content, chance)
            path.write_bytes(found)
            (folder / "last").write_bytes(found)
            print(f"{name} {n}", flush=True)
            outcomes[attempt(f"{name} {n}", path, read)] += 1
        assert sorted(os.listdir(path.parent)) in ([file], []), f"{name}: left {os.listdir(path.parent)}"
        print(f"done {name}: {outcomes[0]} refused, {outcomes[1]} read", flush=True)
    print("ended", flush=True)
