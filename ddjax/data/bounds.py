"""What a file may be and how much it may claim to hold, asked before it is opened or memory is given for it."""

import stat
from pathlib import Path

LARGEST = 4 * 2**30  # bytes in memory; beyond it a memory map or a stream is the right tool
FREE = 2**30  # bytes that any file may inflate to: line art, masks and zeros pack a thousandfold and are honest
RATIO = 100  # how far a larger one may inflate: real images stay below 10


def require_plausible(size: int, path: Path) -> None:
    """Raises: ValueError when a file would inflate to a size that its own cannot explain, or that is too large."""
    packed = path.stat().st_size
    if size > LARGEST:
        raise ValueError(
            f"{path} would fill {size:,} bytes of memory; the largest allowed is {LARGEST:,}: use .npy files "
            "(or it is a decompression bomb)"
        )
    if size > max(FREE, RATIO * packed):
        raise ValueError(f"{path} would inflate from {packed:,} bytes to {size:,}: refused as a decompression bomb")


def require_file(path: Path) -> None:
    """Nothing that cannot be read to an end is opened: a pipe would wait for ever.

    Raises: FileNotFoundError where there is nothing; ValueError for a folder, pipe, device, or link in a loop.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        raise ValueError(f"{path} is {'a folder' if stat.S_ISDIR(mode) else 'a pipe or a device'}, not a file")
