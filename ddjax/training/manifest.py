"""What tells an intact checkpoint from a damaged one: its step, its job and the sha256 of its files, written last."""

import hashlib
import json
from pathlib import Path
from typing import Any

from ddjax.files import write_atomically

INCOMPLETE = "is damaged or incomplete"

_NAME = "manifest.json"


def write(folder: Path, job: str | None = None, key: str | None = None) -> None:
    """Write the manifest of a finished checkpoint, whose folder is named after its step, in one move.

    Args:
        key: the implementation of the state's random keys, whose numbers alone do not say it.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(_NAME))
    digests = {str(path.relative_to(folder)): _sha256(path) for path in files}
    write_atomically(folder / _NAME, _sealed({"step": int(folder.name), "job": job, "key": key, "files": digests}))


def fault(folder: Path, job: str | None = None) -> str | None:
    """What is wrong with a checkpoint, None for an intact one: all that the manifest lists is there, bit for bit.

    Files that it does not list, such as a desktop's `.DS_Store`, are no part of the checkpoint and harm nothing.

    Args:
        job: whose checkpoint it should be; where it or the manifest names none, any will do.
    """
    if not (folder / _NAME).is_file():
        return INCOMPLETE
    try:
        told = (folder / _NAME).read_text(encoding="utf-8")
        listed = json.loads(told)
        del listed["manifest"]
        step, owner, files = listed["step"], listed["job"], listed["files"]
        whole = told == _sealed(listed) and all(_sha256(folder / name) == was for name, was in files.items())
    except (OSError, ValueError, RecursionError, AttributeError, TypeError, KeyError):
        return "is damaged, or older than ddjax 0.2"
    if not whole:
        return "is damaged"
    if str(step) != folder.name:
        return f"is a copy of step {step}"
    if job is not None and owner is not None and owner != job:
        return f"belongs to {owner}, not to {job}"
    return None


def key(folder: Path) -> str | None:
    """The implementation of random keys in an intact checkpoint; None where its manifest names none."""
    return json.loads((folder / _NAME).read_text(encoding="utf-8")).get("key")


def intact(folder: Path, job: str | None = None) -> bool:
    """Whether the folder holds the checkpoint that it is named after, bit for bit, of this job."""
    return fault(folder, job) is None


def steps(folder: str | Path) -> list[int]:
    """The numbers that folders of steps, intact or not, have for names, written as Orbax does: the newest first."""
    folder = Path(folder).expanduser()
    names = {path.name for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()
    numbers = (int(name) for name in names if name.isascii() and name.isdecimal() and len(name) < 19)
    return sorted((number for number in numbers if str(number) in names), reverse=True)


def _sealed(listed: dict[str, Any]) -> str:
    """The text of a manifest, which ends with its own digest."""
    digest = hashlib.sha256(json.dumps(listed).encode()).hexdigest()
    return json.dumps(listed | {"manifest": digest}, indent=0)


def _sha256(path: Path) -> str | None:
    """The digest of a plain file, None for anything else: to read a pipe would wait for ever."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
