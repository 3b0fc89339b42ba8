"""How much a file may claim to hold, asked before memory is given for it."""

from pathlib import Path

LARGEST = 4 * 2**30  # bytes in memory; beyond it a memory map or a stream is the right tool
FREE = 16 * 2**20  # bytes that any file may inflate to
RATIO = 100  # how far a larger one may inflate: real images stay below 10, bombs reach 1,000


def require_plausible(size: int, path: Path) -> None:
    """Raises: ValueError when a file would inflate to a size that its own cannot explain, or that is too large."""
    packed = path.stat().st_size
    if size > max(FREE, RATIO * packed):
        raise ValueError(f"{path} would inflate from {packed:,} bytes to {size:,}: refused as a decompression bomb")
    if size > LARGEST:
        raise ValueError(
            f"{path} would fill {size:,} bytes of memory; the largest allowed is {LARGEST:,}: use .npy files"
        )
