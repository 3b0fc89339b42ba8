"""The folder of a run: config.yaml, metrics.jsonl, checkpoints/, figures, summary.json, report.html."""

import dataclasses
import filecmp
import hashlib
import json
import os
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TextIO

from ddjax.cli import UserError, documents
from ddjax.cli.settings import MAY_BE_EMPTY, MAY_REPEAT, Seeds, refusal
from ddjax.files import naming, write_atomically
from ddjax.runs.engine import Engine, keep_compiled
from ddjax.runs.rows import read_metrics

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
    Raises: ValueError for settings that could not be read again, before anything is written; UserError for a folder that
        holds another run, or cannot be written.
    """
    path = folder(config, default)
    settings = (
        {"experiment": experiment}
        | {name: _plain(value) for name, value in dataclasses.asdict(config).items() if name not in _NOT_SETTINGS}
        | (facts or {})
    )
    content = documents.written(path / "config.yaml", settings)
    require_rules(path / "config.yaml", settings)
    if not first_process():
        return Run(path, _taken_up(path, settings, config), config)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to --out {path}: {error.strerror}") from None
    held = _locked(path)
    try:
        settings = _taken_up(path, settings, config)
        for there in (file for file in _config_files(path) if file.exists()):
            content = there.read_text(encoding="utf-8")
        for file in _config_files(path):
            file.parent.mkdir(exist_ok=True)
            write_atomically(file, content)
    except OSError as error:
        held.close()
        raise UserError(f"cannot write to --out {path}: {error.strerror}") from None
    except BaseException:
        held.close()
        raise
    run = Run(path, settings, config)
    weakref.finalize(run, held.close)
    keep_compiled(path.parent / ".jax_cache")
    return run


def _locked(path: Path) -> TextIO:
    """The lock of a whole folder, for as long as the run is open, or its process lives."""
    from ddjax.training import lock

    return lock.acquire(path)


def _config_files(path: Path) -> tuple[Path, Path]:
    """Where the settings lie: beside what was trained with them, too, so that the one tells what happened to the other."""
    return path / "checkpoints" / "config.yaml", path / "config.yaml"


def _stored(path: Path) -> dict[str, Any] | None:
    """The settings of the run in a folder, None for a new one.

    Raises: ValueError for a file that is damaged; UserError for two that differ, or checkpoints whose settings are gone.
    """
    files = [file for file in _config_files(path) if os.path.lexists(file)]
    copy = documents.yaml_settings(files[0]) if files else None
    same = [file.is_file() and filecmp.cmp(files[0], file, shallow=False) for file in files[1:]]
    if same == [False] and documents.yaml_settings(files[1]) != copy:
        raise UserError(f"{' and '.join(map(str, files))} differ: put the right one in the place of the other")
    if copy is None and list(path.glob("checkpoints/*/*")):
        raise UserError(f"{path} holds checkpoints, but the config.yaml that says of what is gone: take another --out")
    if copy is not None:
        require_rules(files[0], copy)
        if "experiment" not in copy:
            raise UserError(f"{files[0]} names no experiment: {path} is not the folder of a run")
    return copy


def _taken_up(path: Path, settings: dict[str, Any], config: Engine) -> dict[str, Any]:
    """The settings of the run that is in a folder, as they were written, else the new ones.

    Raises: UserError for a run that is not to be taken up, or that has other settings.
    """
    stored = _stored(path)
    if stored is None or (config.resume in (False, "off") and not first_process()):
        return settings
    if config.resume in (False, "off"):
        raise UserError(f"{path} already holds a run: pass --resume to go on with it, or another --out")
    _require_same(path, stored, settings, config)
    return stored  # an older version's perhaps: its checkpoints belong to what it wrote


def _require_same(path: Path, old: dict[str, Any], new: dict[str, Any], config: Engine) -> None:
    """Raises: UserError for a run of other settings; what an older version did not know is at its default there."""
    try:
        there, here = (_with_defaults(settings, config) for settings in (old, new))
    except ValueError as error:
        raise UserError(f"cannot resume {path}: {error}") from None
    differing = [
        f"{key} ({_short(there[key]) if key in there else 'not set'} there, {_short(here[key])} now)"
        if key in here
        else f"{key} ({_short(there[key])} there, and this version has no such setting)"
        for key in here | there
        if key not in here or key not in there or here[key] != there[key]
    ]
    if differing:
        raise UserError(f"cannot resume {path} with other settings: {', '.join(differing)}")


def _with_defaults(settings: dict[str, Any], config: Engine) -> dict[str, Any]:
    """Settings, and today's defaults of those that are not there; entries of the models each by itself."""
    from ddjax import recipes

    models = [recipes.entries(recipes.read(values)) for values in settings.get("models", [])]
    defaults = {
        field.name: _plain(field.default)
        for field in dataclasses.fields(config)
        if field.name not in _NOT_SETTINGS and field.default is not dataclasses.MISSING
    }
    entries = {f"{name} of model {i}": value for i, model in enumerate(models, 1) for name, value in model.items()}
    return defaults | {name: value for name, value in settings.items() if name != "models"} | entries


def _plain(value: Any) -> Any:
    """A setting as a file holds it."""
    return list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value


def _short(value: Any) -> str:
    return text if len(text := str(value)) <= 60 else f"{text[:57]}..."


@dataclasses.dataclass(frozen=True)
class _Known:
    """What commands take from the settings of any run, by the rules under which they were written."""

    experiment: str
    seeds: Seeds
    together: bool
    classes: Annotated[tuple[Annotated[str, MAY_BE_EMPTY], ...], MAY_BE_EMPTY, MAY_REPEAT]


def require_rules(path: Path, settings: Any) -> None:
    """Raises: UserError for settings of a run that no run can have."""
    if not isinstance(settings, dict):
        raise UserError(f"{path} is not the settings of a run: a mapping is wanted, got {type(settings).__name__}")
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    if reason := refusal(_Known, values):
        raise UserError(f"{path} is not the settings of a run: {reason}")


def read_settings(path: Path) -> dict[str, Any]:
    """The settings of a saved run. Raises: UserError, or ValueError naming the file, where there are none."""
    settings = _stored(path)
    if settings is None:
        raise UserError(f"{path} is not the folder of a run: it has no config.yaml")
    return settings
