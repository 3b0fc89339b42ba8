"""A study with results of its own: measured without training, written like a run."""

import dataclasses
import time
from pathlib import Path

from ddjax.cli import UserError
from ddjax.runs import engine
from experiments.common import runner
from experiments.common.runner import Findings
from experiments.common.settings import Study


def folder(config: Study, name: str) -> Path:
    """The folder of the results, made. Raises: UserError for that of a run, or one that cannot be written."""
    path = config.out or Path("runs") / name
    if (path / "config.yaml").exists():
        raise UserError(f"{path} holds a run, which a study would overwrite: take another --out")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to --out {path}: {error.strerror}") from None
    runner.require_places(path)
    engine.keep_compiled(path.parent / ".jax_cache")
    return path


def write(path: Path, name: str, config: Study, found: Findings, began: float) -> None:
    """summary.json, figures, report.html and the tables on the terminal; `began` is of the monotonic clock."""
    settings = {key: value for key, value in dataclasses.asdict(config).items() if key != "out"}
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in settings.items()}
    runner.write(path, name, settings, found, {"total": round(time.monotonic() - began, 1)})
