"""What tells an intact checkpoint from a damaged one: a list of its files with their sha256, written last."""

import hashlib
import json
from pathlib import Path

_NAME = "manifest.json"


def write(folder: Path) -> None:
    """Write the manifest of a finished checkpoint, in one move."""
    draft = folder / (_NAME + ".draft")
    draft.write_text(_digest(folder))
    draft.rename(folder / _NAME)


def intact(folder: Path) -> bool:
    """Whether the folder has its manifest, and exactly the files that it lists, bit for bit."""
    manifest = folder / _NAME
    return manifest.is_file() and manifest.read_bytes() == _digest(folder).encode()


def steps(folder: str | Path) -> list[int]:
    """The numbers that folders of steps, intact or not, have for names: the newest first."""
    folder = Path(folder)
    names = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    return sorted((int(name) for name in names if name.isdecimal()), reverse=True)


def _digest(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(_NAME))
    digests = {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return json.dumps(digests, indent=0)
