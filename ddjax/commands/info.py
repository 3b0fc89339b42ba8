"""Tell what a saved run is: settings, trained models, numbers, and where they come from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddjax import cli, runs
from ddjax.cli import documents
from ddjax.cli.settings import FolderToRead


@dataclass(frozen=True)
class Config:
    """Tell what a saved run is: its settings, what was trained and how far, its numbers with their floors, and the command,
    date, hardware and versions that they come from.

    Example: ddjax info runs/short
    """

    run: FolderToRead
    """Folder of the run, with its config.yaml."""


def run(config: Config) -> None:
    """Read all of it, then print; nothing is loaded or drawn."""
    from ddjax import judging

    settings = runs.read_settings(config.run)
    plain = [[name, _shown(value)] for name, value in settings.items() if name not in ("experiment", "models")]
    told = [cli.shown(f"{settings['experiment']}, in {config.run}"), judging.markdown(["setting", "value"], plain)]
    if rows := trained(config.run):
        told.append(judging.markdown(["model", "checkpoints at step"], rows))
    summary = config.run / "summary.json"
    told += judged(summary) if summary.is_file() else ["no summary.json: not judged yet"]
    print("\n\n".join(told))


def judged(summary: Path) -> list[str]:
    """A table of every metric, and where the numbers come from. Raises: UserError for a file that no run writes."""
    from ddjax import judging

    told = []
    try:
        found = documents.json_settings(summary)
        numbers = [judging.Number(**row) for row in found["numbers"]]
        for metric in dict.fromkeys(number.metric for number in numbers):
            told += [cli.shown(metric), judging.table(numbers, metric)]
        origin = [[name, _shown(value)] for name, value in found["provenance"].items()]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise cli.UserError(f"{summary} is not what a run writes: {error!r}") from None
    return [*told, judging.markdown(["provenance", ""], origin)]


def trained(folder: Path) -> list[list[str]]:
    """Each model and seed of a run, and the steps at which it is saved."""
    found = []
    for job in sorted(path for path in (folder / "checkpoints").glob("*") if path.is_dir()):
        steps = sorted(int(path.name) for path in job.iterdir() if path.name.isdecimal() and path.is_dir())
        found.append([job.name, ", ".join(map(str, steps)) or "none"])
    return found


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
