"""One writer for each folder of checkpoints."""

import fcntl
import os
import platform
import weakref
from pathlib import Path
from typing import TextIO

from ddjax.files import require_plain

_LOCKED: weakref.WeakSet[TextIO] = weakref.WeakSet()  # by this process


def acquire(folder: Path) -> TextIO:
    """Create and lock `folder` until the returned file is closed.

    The lock is the kernel's (flock): it ends with its process, however that ends, and so is never stale. A forked child
    does not have it.

    Raises: OSError, in one sentence, for a folder that this or another process has locked, that cannot be written, or
        that lies on a file system without locks.
    """
    require_plain(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise OSError(f"cannot keep checkpoints in {folder}: {error.strerror}") from None
    owner = f"{os.getpid()} on {platform.node()}"
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read(200).strip()
        file.close()
        raise OSError(_in_use(folder, holder, here=holder == owner)) from None
    except OSError as error:
        file.close()
        raise OSError(
            f"cannot lock {folder}: {error.strerror}; its file system must have flock (Lustre mounts with -o flock, NFS "
            "with its lock service), or take a folder on another one"
        ) from None
    try:
        file.truncate(0)
        os.write(file.fileno(), owner.encode())  # past the buffer, which would fail again when it is closed
    except OSError as error:
        file.close()
        raise OSError(f"cannot keep checkpoints in {folder}: {error.strerror}") from None
    _LOCKED.add(file)
    return file


def _in_use(folder: Path, holder: str, *, here: bool) -> str:
    if here:
        return (
            f"{folder} is open in this process already: close what has it (`checkpoints.close()`, or leave its `with`); "
            "after an error the traceback may have it, in a notebook until another cell fails or the kernel restarts"
        )
    return f"{folder} is in use by another run (process {holder or 'unknown'}): wait for it, or take another folder"


def _let_go() -> None:
    """In a forked child: closing its copy leaves the lock to the parent alone, and so ends it with the parent."""
    for file in list(_LOCKED):
        file.close()


os.register_at_fork(after_in_child=_let_go)
