"""The folder of a run: config.yaml, metrics.jsonl, checkpoints/, figures, summary.json, report.html."""

import dataclasses
import datetime
import json
import os
import platform
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from experiments.cli import UserError
from experiments.engine import Engine, keep_compiled

# where and how to run, not what
_NOT_SETTINGS = {"config", "full", *(field.name for field in dataclasses.fields(Engine))}


@dataclasses.dataclass(frozen=True)
class Run:
    """An open run folder."""

    path: Path
    settings: dict[str, Any]
    engine: Engine

    def checkpoints(self, job: str) -> Path:
        """The checkpoint folder of one trained model."""
        return self.path / "checkpoints" / job

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
            with file.open("a") as lines:
                lines.write(json.dumps({"job": job, "step": step, **metrics}) + "\n")

        return log

    def write_json(self, name: str, value: Any) -> None:
        """Write `value` as indented JSON, all or nothing."""
        write_atomically(self.path / name, json.dumps(value, indent=2) + "\n")


def folder(config: Any, default: Path) -> Path:
    """Where the run lives: `--resume DIR`, else `--out`, else the default.

    Raises: UserError for a DIR that holds no run, or differs from --out.
    """
    if config.resume in (True, False, "auto", "off"):
        return config.out or default
    path = Path(config.resume)
    if config.out not in (None, path):
        raise UserError(f"--resume {path} and --out {config.out} name two folders: give one")
    read_settings(path)
    return path


def first_process() -> bool:
    """Whether this process writes the reports: the first of several, or the only one."""
    jax = sys.modules.get("jax")
    return jax is None or jax.process_index() == 0


def open_run(experiment: str, config: Any, default: Path, *, facts: dict[str, Any] | None = None) -> Run:
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
    run = Run(path, settings, config if isinstance(config, Engine) else Engine())
    if not first_process():
        return run
    stored = path / "config.yaml"
    if stored.exists():
        _require_same(path, yaml.safe_load(stored.read_text()), settings, config.resume)
    try:
        path.mkdir(parents=True, exist_ok=True)
        write_atomically(stored, yaml.safe_dump(settings, sort_keys=False))
    except OSError as error:
        raise UserError(f"cannot write to --out {path}: {error.strerror}") from None
    keep_compiled(path.parent / ".jax_cache")
    return run


def _require_same(path: Path, old: Any, new: dict[str, Any], resume: bool | str) -> None:
    if resume in (False, "off"):
        raise UserError(f"{path} already holds a run: pass --resume to go on with it, or another --out")
    differing = [f"{key} ({old.get(key)} there, {new.get(key)} now)" for key in new if old.get(key) != new[key]]
    if differing:
        raise UserError(f"cannot resume {path} with other settings: {', '.join(differing)}")


def read_settings(path: Path) -> dict[str, Any]:
    """The settings of a saved run. Raises: UserError where there is none."""
    try:
        settings = yaml.safe_load((path / "config.yaml").read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        settings = None
    if not isinstance(settings, dict) or "experiment" not in settings:
        raise UserError(f"{path} is not the folder of a run: it has no readable config.yaml")
    return settings


def read_metrics(path: Path, name: str = "metrics.jsonl") -> list[dict[str, Any]]:
    """The rows of a JSON-lines file of the run; a last line cut short by a kill is left out."""
    file = path / name
    rows = []
    for line in file.read_text().splitlines() if file.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def write_atomically(path: Path, text: str) -> None:
    """Replace a file in one move, so that a reader or a kill sees the old or the new, never half."""
    draft = path.with_name(path.name + ".draft")
    draft.write_text(text)
    os.replace(draft, path)


def provenance() -> dict[str, Any]:
    """What a number needs beside it: command, date, hardware, versions."""
    import jax

    return {
        "command": " ".join(["python -m", sys.modules["__main__"].__spec__.name, *sys.argv[1:]])
        if getattr(sys.modules["__main__"], "__spec__", None)
        else " ".join(sys.argv),
        "date": datetime.date.today().isoformat(),
        "device": f"{jax.devices()[0].device_kind} x {jax.device_count()}",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "platform": platform.platform(terse=True),
        "python": platform.python_version(),
        "jax": jax.__version__,
    }


def peak_memory_gb() -> float:
    """Peak resident memory of this process so far, in GB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e9 if sys.platform == "darwin" else peak * 1024 / 1e9
