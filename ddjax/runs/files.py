"""Files of a run: rows of JSON, read past damage, and writes that are all or nothing."""

import contextlib
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def read_metrics(path: Path, name: str = "metrics.jsonl") -> list[dict[str, Any]]:
    """The rows of a JSON-lines file of the run, without damaged ones, which a warning names; a last line cut short by a kill
    is no damage."""
    file = path / name
    *lines, last = file.read_bytes().split(b"\n") if file.is_file() else [b""]
    rows = [_row(line) for line in lines]
    damaged = [number for number, row in enumerate(rows, 1) if row is None]
    if damaged:
        warnings.warn(f"{file}: damaged and left out: line {', '.join(map(str, damaged))}", stacklevel=2)
    return [row for row in [*rows, _row(last)] if row is not None]


def _row(line: bytes) -> dict[str, Any] | None:
    """A row as `Run.logger` writes it: a job, a step and numbers; None for anything else."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("job"), str) or type(row.get("step")) is not int:
        return None
    numbers = all(type(value) in (int, float) for key, value in row.items() if key != "job")
    return row if numbers else None


@contextlib.contextmanager
def naming(file: Path) -> Iterator[None]:
    """Errors of writing a file name it: those of a full disk do not by themselves."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from None


def write_atomically(path: Path, text: str) -> None:
    """Replace a file in one move, so that a reader or a kill sees the old or the new, never half."""
    draft = path.with_name(path.name + ".draft")
    with naming(path):
        try:
            draft.write_text(text, encoding="utf-8")
            os.replace(draft, path)
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
