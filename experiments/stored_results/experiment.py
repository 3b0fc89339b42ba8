"""The table of docs/results.md of stored runs whose commands now do something otherwise."""

import json
from pathlib import Path

from ddjax import cli, judging, runs
from experiments.stored_results.settings import Config

ROOT = Path(__file__).parents[2]
START, END = "<!-- stored: made by python -m experiments.stored_results -->", "<!-- stored: end -->"
HEADS = ("stored", "measured by", "what its command now does otherwise")


def changed(results: Path) -> dict[str, dict[str, str]]:
    """By file, the provenance of the stored runs whose commands now give other numbers."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob("*.json"))}
    return {stem: run["provenance"] for stem, run in found.items() if "command_now" in run.get("provenance", {})}


def table(results: Path) -> str:
    """The markers and, between them, a row for all files of one version with one change; before 0.1.0 the day is told."""
    rows: dict[tuple[str, str], list[str]] = {}
    for stem, provenance in changed(results).items():
        measured = provenance.get("ddjax", provenance["date"])
        rows.setdefault((measured, provenance["command_now"]), []).append(f"[{stem}](results/{stem}.json)")
    lines = [[", ".join(files), measured, now] for (measured, now), files in rows.items()]
    return "\n\n".join([START, judging.markdown(HEADS, lines), END])


def run(config: Config) -> None:
    """Read, write."""
    page = ROOT / "docs" / "results.md"
    before, marker, rest = page.read_text(encoding="utf-8").partition(START)
    _, end, after = rest.partition(END)
    if not marker or not end:
        raise cli.UserError(f"{page} must hold the lines {START} and {END}")
    runs.write_atomically(page, before + table(ROOT / "docs" / "results") + after)
    print(f"{page} made")
