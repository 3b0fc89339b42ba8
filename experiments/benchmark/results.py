"""One file for each machine, `benchmarks/results/<machine>.json`: a run of a suite replaces that suite's part alone."""

import json
from pathlib import Path
from typing import Any

from ddjax.cli import UserError, documents
from ddjax.runs import write_atomically

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks" / "results"


def load(path: Path) -> dict[str, Any]:
    """The stored results of a machine; empty where there are none. Raises: UserError for a file that is not one."""
    if not path.exists():
        return {"machine": path.stem, "hardware": {}, "suites": {}}
    try:
        stored = documents.json_settings(path)
    except ValueError as error:
        raise UserError(f"cannot read {error}") from None
    if not isinstance(stored.get("suites"), dict):
        raise UserError(f"{path} holds no results of the benchmark")
    return stored


def store(path: Path, hardware: dict[str, Any], suite: str, part: dict[str, Any]) -> bool:
    """Replace the part of one suite, in one move; a short run never replaces a full one.

    Returns: whether it was stored. Raises: UserError for a file that cannot be read or written.
    """
    stored = load(path)
    if part["short"] and not stored["suites"].get(suite, {"short": True})["short"]:
        return False
    stored["machine"], stored["hardware"] = path.stem, hardware
    stored["suites"] = stored["suites"] | {suite: part}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(stored, indent=1) + "\n")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
    return True


def every(folder: Path = FOLDER) -> list[dict[str, Any]]:
    """The results of all machines, by name."""
    return [load(path) for path in sorted(folder.glob("*.json"))]
