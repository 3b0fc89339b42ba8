"""One file from the network: resumed where it stopped, checked, and in place only when it is complete."""

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ddjax.cli import UserError
from ddjax.downloads import connections
from ddjax.files import require_plain

_CHUNK = 2**18
_ATTEMPTS = 100  # connections for one file, each of which brings it further
_PATIENCE, _EXPECTED = 600.0, 20_000  # seconds for any file, and bytes a second that a large one takes at worst


class Remote(NamedTuple):
    """What a file must be: its size in bytes, and the checksum that its publisher gives."""

    name: str
    size: int
    algorithm: str
    checksum: str


def download(remote: Remote, base_url: str, folder: Path, update: Callable[[int], None]) -> Path:
    """Fetch `base_url/name` into the folder through `name.part`; nothing is done where the right file is already.

    A connection that breaks is taken up again with HTTP Range, as long as each one brings the file further; a later call
    goes on from the .part file too. Every byte that arrived is kept.

    Args:
        update: called with the bytes present so far.
    Raises: UserError in one sentence: no network, an answer that is no file or too slow, no space, or another file than
        expected.
    """
    path, part = folder / remote.name, folder / (remote.name + ".part")
    if path.is_file() and _is(path, remote):
        update(remote.size)
        return path
    for place in (path, part):
        try:
            require_plain(place)
        except OSError as error:
            raise UserError(f"cannot write {place}: {error.strerror}") from None
    pace = connections.Pace(_PATIENCE + remote.size / _EXPECTED, 2**20 + 10 * remote.size)
    best, attempts = -1, 0
    while (present := part.stat().st_size if part.exists() else 0) != remote.size:
        if present <= best or attempts == _ATTEMPTS:
            raise UserError(f"{base_url}: the connection ends after {_so_far(present, remote)}")
        best, attempts = present, attempts + 1
        _fetch(f"{base_url.rstrip('/')}/{remote.name}", part, remote, pace, update)
    if not _is(part, remote):
        part.unlink()
        raise UserError(f"{remote.name} from {base_url} has not the {remote.algorithm} {remote.checksum}: removed")
    os.replace(part, path)
    return path


def _so_far(present: int, remote: Remote) -> str:
    return f"{present:,} of {remote.size:,} bytes of {remote.name}; run again to go on from there"


def _fetch(url: str, part: Path, remote: Remote, pace: connections.Pace, update: Callable[[int], None]) -> None:
    """One connection: append what it brings to the .part file, from the start if the server knows no Range."""
    present = part.stat().st_size if part.exists() else 0
    if present > remote.size:
        present = 0
    try:
        request = urllib.request.Request(url, headers={"Range": f"bytes={present}-"} if present else {})
        with connections.opened(request, pace) as answer:
            start = _start(answer, url, present, remote.size)
            _save(answer, part, remote, append=start > 0, update=update)
    except urllib.error.HTTPError as error:
        error.close()
        raise UserError(f"{url} answered {error.code} {' '.join(str(error.reason).split())[:200]}") from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError | ConnectionResetError):
            return  # broken on the way, as below
        raise UserError(f"cannot reach {url}: {getattr(error.reason, 'strerror', None) or error.reason}") from None
    except connections.GivenUp as slow:
        present = part.stat().st_size if part.exists() else 0
        raise UserError(f"{url} {slow}: given up after {_so_far(present, remote)}") from None
    except ValueError as error:
        raise UserError(f"cannot reach {url}: {error}") from None
    except (http.client.HTTPException, OSError):
        return  # the caller sees how far it came


def _start(answer: http.client.HTTPResponse, url: str, present: int, size: int) -> int:
    """Where in the file the answer begins. Raises: UserError for an answer that is not this part of this file."""
    start, whole = 0, answer.length
    if answer.status == 206:
        told = answer.headers.get("Content-Range", "")
        found = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", told.strip())
        start, whole = present, int(found[3]) if found and found[3] != "*" else size
        if not found or (whole == size and not present == int(found[1]) <= int(found[2]) < size):
            raise UserError(f"{url} answered with another part of the file than asked for: {told[:80]!r}")
    if whole not in (None, size):
        encoding = answer.headers.get("Content-Encoding")
        packed = f" (packed by {encoding[:20]!r})" if encoding else ""
        raise UserError(f"{url} has {whole:,} bytes{packed} and not {size:,}: another file")
    return start


def _save(answer: http.client.HTTPResponse, part: Path, remote: Remote, *, append: bool, update: Callable) -> None:
    present = 0
    try:
        with open(part, "ab" if append else "wb") as file:
            # the size of the file itself is watched: no answer, however long, may fill the disk
            while present <= remote.size and (piece := _piece(answer)):
                file.write(piece)
                present = file.tell()
                update(min(present, remote.size))
    except OSError as error:
        raise UserError(f"cannot write {part}: {error.strerror}; what has come is kept, run again to go on") from None
    if present > remote.size:
        part.unlink()
        raise UserError(f"{answer.url} is larger than the {remote.size:,} bytes of {remote.name}: removed")


def _piece(answer: http.client.HTTPResponse) -> bytes:
    """What arrived next; nothing at the end of the answer or of the connection, which its size tells apart."""
    try:
        return answer.read1(_CHUNK)
    except (http.client.HTTPException, OSError):
        return b""


def _is(path: Path, remote: Remote) -> bool:
    if path.stat().st_size != remote.size:
        return False
    with open(path, "rb") as file:
        return hashlib.file_digest(file, remote.algorithm).hexdigest() == remote.checksum
