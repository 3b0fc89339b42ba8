"""The table of docs/family.md and the pages behind it, docs/family_tables.md, from the stored runs of the few-step family."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ddjax import cli, judging, runs
from experiments.common import figures
from experiments.family import claims as claim_pages
from experiments.family import evaluate as rival_judges
from experiments.family import grid_report as grid_pages
from experiments.family import grids as grid_judges
from experiments.family import report as rival_pages
from experiments.family import warm_start
from experiments.family.settings import Page

ROOT = Path(__file__).parents[2]
START, END = "<!-- table: made by python -m experiments.family_page -->", "<!-- table: end -->"
TABLES = """\
# Few-step methods: all tables

What [which method at my step budget](family.md) rests on: the claims of the papers, every stored run, and every trial of the
search behind the presets. Made by `python -m experiments.family_page` from docs/results/family_*.json."""
BUDGETS = (1, 2, 4, 8)
NOW = "results.md#measured-by-an-earlier-version"
STEM, TUNING = "family_", "tuning"
TARGETS = ("two_gaussians", "moons", "checkerboard", "eight_gaussians", "forty", "digits")


def stored(results: Path) -> dict[str, dict[str, Any]]:
    """The stored runs by the end of their files' names."""
    paths = sorted(results.glob(f"{STEM}*.json"))
    return {path.stem.removeprefix(STEM): json.loads(path.read_text(encoding="utf-8")) for path in paths}


def by_budget(results: Path) -> str:
    """The markers and, between them, the best method at each number of steps beside `ddm`, on each target at equal steps."""
    stored_runs, lines = stored(results), []
    for target in TARGETS:
        numbers = [judging.Number(**row) for row in stored_runs[target]["numbers"]]
        lines.append([target.replace("_", " "), *(_best(numbers, target, n) for n in BUDGETS)])
    heads = ["distribution", *(figures.steps_of(n) for n in BUDGETS)]
    return "\n\n".join([START, judging.markdown(heads, lines), END])


def _best(numbers: list[Any], target: str, nfe: int) -> str:
    """The method with the least median and its value, in the plane over the floor's; then that of `ddm`, with a star where paired
    differences over seeds show it to be worse (all methods together, 95 of 100)."""
    by = rival_pages.deciding(target)
    trained = [n for n in rival_pages.of_models(numbers, target) if n.nfe == nfe]
    best = min(trained, key=lambda number: number.value)

    def shown(number: Any) -> str:
        plane = by is rival_pages.W_1
        return f"{number.value / number.floor:.2f}" if plane else f"{number.value:.4f}"

    [ddm] = [n for n in trained if n.model == rival_pages.BESIDE]
    if ddm is best:
        return f"**ddm {shown(ddm)}**"
    apart = judging.paired(ddm.by_seed, best.by_seed, comparisons=len(trained) - 1)
    return f"**{best.model} {shown(best)}**, ddm {shown(ddm)}{'*' if apart.low > 0 else ''}"


def tables(results: Path) -> str:
    """docs/family_tables.md."""
    stored_runs = stored(results)
    tuning = [stored_runs.pop(name) for name in sorted(stored_runs) if name.startswith(TUNING)]
    sections = [*of_claims(stored_runs), *(text for run in stored_runs.values() for text in of_run(run))]
    sections += of_warm_start(json.loads((results / "warm_start.json").read_text(encoding="utf-8")))
    sections += [text for run in tuning for text in of_tuning(run)]
    return "\n\n".join([TABLES, *sections]) + "\n"


def of_claims(runs: dict[str, dict[str, Any]]) -> Iterator[str]:
    """What the runs say of the papers."""
    yield "## Claims of the papers, one by one"
    yield (
        "By the paired differences of the runs below, whose intervals hold together in 95 of 100 times, row by row "
        "(`experiments/family/claims.py` says when a claim is reproduced):"
    )
    yield judging.markdown(claim_pages.HEADS, claim_pages.rows(runs))


def of_run(run: dict[str, Any]) -> Iterator[str]:
    """Title, command and tables of one stored run."""
    settings, numbers = run["settings"], [judging.Number(**row) for row in run["numbers"]]
    closed = {target: rival_judges.closed(numbers, target) for target in settings["target"]}
    what = " and ".join(target.replace("_", " ") for target in closed)
    varied = f": {' '.join(settings['vary'])}" if settings["vary"] else ""
    budget = (
        f"{settings['steps']:,} steps"
        if settings["equal"] == "steps"
        else f"the time of {settings['steps']:,} steps of ddm"
    )
    yield f"## {what.capitalize()}, {budget}{varied}"
    now = run["provenance"].get("command_now")
    now = f"; [the command now]({NOW}) {now}" if now else ""
    yield f"`{run['provenance']['command']}`, medians of {settings['seeds']} seeds and their range{now}:"
    for target in closed:
        yield rival_pages.told_numbers(numbers, target)
        if (by := rival_pages.deciding(target)) is not rival_pages.W_1:
            yield rival_pages.told_numbers(numbers, target, by)
    for table in [*rival_pages.gap_tables(closed), *rival_pages.difference_tables(numbers, closed)]:
        yield _folded(table)
    grids = {
        name: {int(n): grid_judges.Judged(**one) for n, one in found.items()} for name, found in run["grids"].items()
    }
    for name, judged in grids.items():
        yield _folded(grid_pages.table(name, judged))
    timing = {
        name: rival_judges.Seconds(of["step"], {int(n): t for n, t in of["draw"].items()})
        for name, of in run["timing"].items()
    }
    for table in rival_pages.time_tables(timing):
        yield _folded(table)
    told = [rival_pages.verdict(numbers, target, closed[target]) for target in closed]
    yield "\n".join(f"- {line}" for line in [*told, *(grid_pages.sentence(name, of) for name, of in grids.items())])


def of_warm_start(run: dict[str, Any]) -> Iterator[str]:
    """DDM from a regression model, beside scratch."""
    settings, (floor, std) = run["settings"], run["floor"]
    yield f"## A regression model as the start, on {settings['target']}"
    seeds = f"medians of {settings['seeds']} seeds and their range, W₁, floor {floor:.3f} ± {std:.3f}"
    yield f"`{run['provenance']['command']}`: {settings['steps']:,} steps of regression, {seeds}:"
    yield judging.markdown(warm_start.HEADS, warm_start.rows(run["w1"], run["steps"]))


def of_tuning(run: dict[str, Any]) -> Iterator[str]:
    """Every trial."""
    yield f"## The search behind the presets, on {run['settings']['target']}"
    whole = [{"command": run["provenance"]["command"], "seconds": run["seconds"]["total"]}]
    commands = ", ".join(f"`{part['command']}` ({part['seconds']:.0f} s)" for part in run.get("parts", whole))
    yield f"By {commands}, of which the later one stands, on cores that other work kept busy."
    steps = [f"{n} step{'s' * (n > 1)}" for n in (1, 2, 4)]
    table = judging.markdown(["preset", "trial", *(f"W₁, {n}" for n in steps), ""], run["trials"])
    yield f"<details><summary>every trial</summary>\n\n{table}\n\n</details>"


def _folded(table: Any) -> str:
    told = judging.markdown(table.heads, [[cell.text for cell in line] for line in table.lines])
    return f"<details><summary>{table.title}</summary>\n\n{told}\n\n</details>"


def run(config: Page) -> None:
    """Read, write."""
    results, page = ROOT / "docs" / "results", ROOT / "docs" / "family.md"
    before, marker, rest = page.read_text(encoding="utf-8").partition(START)
    _, end, after = rest.partition(END)
    if not marker or not end:
        raise cli.UserError(f"{page} must hold the lines {START} and {END}")
    runs.write_atomically(page, before + by_budget(results) + after)
    runs.write_atomically(page.with_name("family_tables.md"), tables(results))
    print(f"{page} and {page.with_name('family_tables.md')} made")
