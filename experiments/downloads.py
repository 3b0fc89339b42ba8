"""One file from the network: resumed where it stopped, checked, and in place only when it is complete."""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from experiments.cli import UserError

_CHUNK = 2**18
_TIMEOUT = 30.0  # seconds without a byte


class Remote(NamedTuple):
    """What a file must be: its size in bytes, and the checksum that its publisher gives."""

    name: str
    size: int
    algorithm: str
    checksum: str


def download(remote: Remote, base_url: str, folder: Path, update: Callable[[int], None]) -> Path:
    """Fetch `base_url/name` into the folder through `name.part`; nothing is done where the right file is already.

    A connection that breaks is taken up again with HTTP Range, as long as each one brings the file further; a later call
    goes on from the .part file too.

    Args:
        update: called with the bytes present so far.
    Raises: UserError in one sentence: no network, an answer that is no file, no space, or another file than expected.
    """
    path, part = folder / remote.name, folder / (remote.name + ".part")
    if path.is_file() and _is(path, remote):
        update(remote.size)
        return path
    best = -1
    while (present := part.stat().st_size if part.exists() else 0) != remote.size:
        if present <= best:
            raise UserError(
                f"{base_url}: the connection ends after {present:,} of {remote.size:,} bytes of {remote.name}; "
                "run again to go on from there"
            )
        best = present
        _fetch(f"{base_url.rstrip('/')}/{remote.name}", part, remote, update)
    if not _is(part, remote):
        part.unlink()
        raise UserError(f"{remote.name} from {base_url} has not the {remote.algorithm} {remote.checksum}: removed")
    os.replace(part, path)
    return path


def _fetch(url: str, part: Path, remote: Remote, update: Callable[[int], None]) -> None:
    """One connection: append what it brings to the .part file, from the start if the server knows no Range."""
    present = part.stat().st_size if part.exists() else 0
    if present > remote.size:
        present = 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={present}-"} if present else {})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            goes_on = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {present}-")
            if answer.status == 206 and not goes_on:
                raise UserError(f"{url} answered with another part of the file than asked for")
            start = present if goes_on else 0
            if answer.length is not None and start + answer.length != remote.size:
                raise UserError(f"{url} has {start + answer.length:,} bytes and not {remote.size:,}: another file")
            _save(answer, part, remote, append=goes_on, update=update)
    except urllib.error.HTTPError as error:
        raise UserError(f"{url} answered {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise UserError(f"cannot reach {url}: {getattr(error.reason, 'strerror', None) or error.reason}") from None
    except (http.client.HTTPException, ConnectionError, TimeoutError):
        return  # the caller sees how far it came


def _save(answer: http.client.HTTPResponse, part: Path, remote: Remote, *, append: bool, update: Callable) -> None:
    present = 0
    try:
        with open(part, "ab" if append else "wb") as file:
            # the size of the file itself is watched: no answer, however long, may fill the disk
            while present <= remote.size and (piece := answer.read(_CHUNK)):
                file.write(piece)
                present = file.tell()
                update(min(present, remote.size))
    except (ConnectionError, TimeoutError):
        raise
    except OSError as error:
        raise UserError(f"cannot write {part}: {error.strerror}; what has come is kept, run again to go on") from None
    if present > remote.size:
        part.unlink()
        raise UserError(f"{answer.url} is larger than the {remote.size:,} bytes of {remote.name}: removed")


def _is(path: Path, remote: Remote) -> bool:
    if path.stat().st_size != remote.size:
        return False
    with open(path, "rb") as file:
        return hashlib.file_digest(file, remote.algorithm).hexdigest() == remote.checksum
