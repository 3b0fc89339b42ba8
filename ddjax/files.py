"""The one way to write a result: a fresh draft beside its place, which it takes in one move once it is complete.

A reader, or a kill at any moment, finds the old result or the new one, never half. Only a plain file is ever replaced: a link,
a folder, a pipe or a device is refused and left as it is. A draft has a name that nobody can foresee and is opened as a new file
(O_EXCL), so that nothing of the user's is written through or removed.
"""

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_KINDS = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of writing name the result: those of a full disk name nothing by themselves, and others a draft."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # a sentence already
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None


def require_plain(path: Path) -> None:
    """Raises: OSError, in one sentence, for anything but a plain file or nothing at all."""
    _mode(path)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Yield a new file, which takes the place `path` when the block ends well and is removed when it does not.

    Its permissions are those of the file that it replaces, or of any new one, within the umask.

    Raises: OSError that names `path`, where something else than a plain file is there, or it cannot be written.
    """
    draft = _draft(path)
    with naming(path):
        mode = _mode(path)
        try:
            with open(draft, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
                yield file
            require_plain(path)  # still: writing may have taken long
            os.replace(draft, path)
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Write text as `replacing` does. Raises: as it does."""
    with replacing(path) as file:
        file.write(text.encode())


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder, which becomes `path` when the block ends well and is removed when it does not.

    Raises: OSError that names `path`, where something is there already, or it cannot be written.
    """
    draft = _draft(path)
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.mkdir()
        try:
            yield draft
            draft.rename(path)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _draft(path: Path) -> Path:
    return path.with_name(
        f"{path.name[:40]}.{secrets.token_hex(8)}.draft"
    )  # of a long name only as much as there is room for


def _mode(path: Path) -> int:
    """The permissions to ask for. Raises: as `require_plain` does."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0o666
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "a device")
        raise OSError(errno.EEXIST, f"it is {kind}, and only a plain file is ever replaced", str(path))
    return stat.S_IMODE(mode) & 0o777
