"""One writer for each folder of checkpoints."""

import fcntl
import os
from pathlib import Path
from typing import TextIO


def acquire(folder: Path) -> TextIO:
    """Create and lock `folder` until the returned file is closed.

    The lock is the kernel's (flock): it ends with its process, however that ends, and so is never stale.

    Raises: OSError, in one sentence, for a folder that another process has locked or that cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise OSError(f"cannot keep checkpoints in {folder}: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise OSError(
            f"{folder} is in use by another run (process {holder}): wait for it, or take another folder"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
