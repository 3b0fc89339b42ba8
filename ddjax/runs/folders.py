"""The folder of a run: config.yaml, metrics.jsonl, checkpoints/, figures, summary.json, report.html."""

import dataclasses
import hashlib
import json
import os
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from ddjax.cli import UserError
from ddjax.cli.documents import yaml_settings
from ddjax.runs.engine import Engine, keep_compiled
from ddjax.runs.files import naming, read_metrics, write_atomically

# where and how to run, not what
_NOT_SETTINGS = {"config", "full", *(field.name for field in dataclasses.fields(Engine))}


@dataclasses.dataclass(frozen=True)
class Run:
    """An open run folder."""

    path: Path
    settings: dict[str, Any]
    engine: Engine

    def owner(self, job: str) -> str:
        """What the checkpoints of a job belong to: no other job's, and no run's with other settings, are taken for them."""
        told = json.dumps(self.settings, sort_keys=True)
        return f"{job} of the settings {hashlib.sha256(told.encode()).hexdigest()[:12]}"

    def checkpoints(self, job: str) -> Path:
        """The checkpoint folder of one trained model."""
        return self.path / "checkpoints" / job

    def events(self, job: str) -> Path | None:
        """The folder of a job's TensorBoard events; None where none are asked for, and in every process but the first."""
        return self.path / "tensorboard" / job if self.engine.tensorboard and first_process() else None

    def logger(
        self, job: str, from_step: int, name: str = "metrics.jsonl"
    ) -> Callable[[int, dict[str, float]], None] | None:
        """A `log` for `training.fit` that appends to `name`, after dropping what the job logged there beyond from_step.

        None in every process but the first.
        """
        if not first_process():
            return None
        file = self.path / name
        rows = [row for row in read_metrics(self.path, name) if row["job"] != job or row["step"] <= from_step]
        write_atomically(file, "".join(json.dumps(row) + "\n" for row in rows))

        def log(step: int, metrics: dict[str, float]) -> None:
            with naming(file), file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({"job": job, "step": step, **metrics}) + "\n")

        return log


def folder(config: Engine, default: Path) -> Path:
    """Where the run lives: `--resume DIR`, else `--out`, else the default.

    Raises: UserError for a DIR that holds no run, or differs from --out.
    """
    if config.resume in (True, False, "auto", "off"):
        return (config.out or default).expanduser()
    path = Path(config.resume).expanduser()
    if config.out not in (None, path):
        raise UserError(f"--resume {path} and --out {config.out} name two folders: give one")
    read_settings(path)
    return path


def first_process() -> bool:
    """Whether this process writes the reports: the first of several, or the only one."""
    jax = sys.modules.get("jax")
    return jax is None or jax.process_index() == 0


def open_run(experiment: str, config: Engine, default: Path, *, facts: dict[str, Any] | None = None) -> Run:
    """Create the folder of a new run, or take up an old one as `--resume` says.

    Args:
        facts: what the run found beside its settings and must find again, kept with them.
    Raises: UserError for a folder that holds another run, or cannot be written.
    """
    path = folder(config, default)
    settings = (
        {"experiment": experiment}
        | {
            name: list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
            for name, value in dataclasses.asdict(config).items()
            if name not in _NOT_SETTINGS
        }
        | (facts or {})
    )
    run = Run(path, settings, config)
    if not first_process():
        return run
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to --out {path}: {error.strerror}") from None
    _hold(run)
    stored = _stored(path)
    if stored is not None:
        _require_same(path, stored, settings, config.resume)
    try:
        for file in _config_files(path):
            file.parent.mkdir(exist_ok=True)
            write_atomically(file, yaml.safe_dump(settings, sort_keys=False))
    except OSError as error:
        raise UserError(f"cannot write to --out {path}: {error.strerror}") from None
    keep_compiled(path.parent / ".jax_cache")
    return run


def _hold(run: Run) -> None:
    """Lock the whole folder for as long as the run is open, or its process lives."""
    from ddjax.training import lock

    weakref.finalize(run, lock.acquire(run.path).close)


def _config_files(path: Path) -> tuple[Path, Path]:
    """Where the settings lie: beside what was trained with them, too, so that the one tells what happened to the other."""
    return path / "checkpoints" / "config.yaml", path / "config.yaml"


def _stored(path: Path) -> dict[str, Any] | None:
    """The settings of the run in a folder, None for a new one.

    Raises: ValueError for a file that is damaged; UserError for two that differ, or checkpoints whose settings are gone.
    """
    found = {file: yaml_settings(file) for file in _config_files(path) if os.path.lexists(file)}
    copy, *others = found.values() or (None,)
    if others not in ([], [copy]):
        raise UserError(f"{' and '.join(map(str, found))} differ: put the right one in the place of the other")
    if copy is None and list(path.glob("checkpoints/*/*")):
        raise UserError(f"{path} holds checkpoints, but the config.yaml that says of what is gone: take another --out")
    if copy is not None and not isinstance(copy.get("experiment"), str):
        raise UserError(f"{next(iter(found))} names no experiment: {path} is not the folder of a run")
    return copy


def _require_same(path: Path, old: dict[str, Any], new: dict[str, Any], resume: bool | str) -> None:
    if resume in (False, "off"):
        raise UserError(f"{path} already holds a run: pass --resume to go on with it, or another --out")
    keys = [key for key in new | old if old.get(key) != new.get(key)]
    differing = [f"{key} ({old.get(key)} there, {new.get(key)} now)" for key in keys]
    if differing:
        raise UserError(f"cannot resume {path} with other settings: {', '.join(differing)}")


def read_settings(path: Path) -> dict[str, Any]:
    """The settings of a saved run. Raises: UserError, or ValueError naming the file, where there are none."""
    settings = _stored(path)
    if settings is None:
        raise UserError(f"{path} is not the folder of a run: it has no config.yaml")
    return settings
