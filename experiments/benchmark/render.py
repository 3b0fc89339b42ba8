"""The tables of docs/speed.md and their figures, from the stored results."""

from pathlib import Path
from typing import Any

from ddjax.cli import UserError
from ddjax.runs import write_atomically
from experiments.benchmark import tables

START = "<!-- speed: made from benchmarks/results, not by hand -->"
END = "<!-- speed: end -->"
TITLES = {
    "toy": "Two Gaussians: training and sampling (54,530 parameters, batch 512, m 8, Adam)",
    "quality": "Two Gaussians: time to quality",
    "scaling": "A training step against batch and population",
    "sampler": "Sampling against the number of samples and steps",
    "unet": "UNet, 28 x 28 images: a regression step",
    "dit": "DiT, 28 x 28 images: a regression step",
    "ot": "Optimal transport, values equal to 1e-3",
    "gradient": "A transport loss and its gradient, values equal to 1e-3",
    "metrics": "Metrics and scores, values equal to 1e-3",
    "gpu": "On an accelerator, one side at a time: losses and values equal to 2 %",
}
LONG = ("scaling", "sampler")  # their tables are folded away
PAGE = "docs/speed.md"


def write(root: Path, machines: list[dict[str, Any]]) -> None:
    """docs/speed.md and docs/figures/benchmark_*.png. Raises: UserError without results or without the markers."""
    if not machines:
        raise UserError("no results in benchmarks/results: run `python -m experiments.benchmark --suite all` first")
    page = root / PAGE
    text = page.read_text(encoding="utf-8")
    before, marker, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not marker or not end:
        raise UserError(f"{PAGE} must hold the lines {START} and {END}")
    for machine in machines:
        save_figures(root / "docs" / "figures", machine)
    write_atomically(page, before + section(machines) + after)
    print(f"{PAGE} and docs/figures/benchmark_*.png made from {len(machines)} results file(s)")


def section(machines: list[dict[str, Any]]) -> str:
    """All between the markers, and the markers."""
    return "\n\n".join([START, *(told for machine in machines for told in of_machine(machine)), END])


def of_machine(machine: dict[str, Any]) -> list[str]:
    """Paragraphs and tables of one machine."""
    hardware, name, suites = machine["hardware"], machine["machine"], machine["suites"]
    where = hardware["accelerator"] or f"{hardware['cores']} cores of {hardware['cpu']}"
    stored = f"benchmarks/results/{name}.json"
    told = [f"## {name}", f"{where}, stored in [{stored}](../{stored})."]
    for suite in (suite for suite in TITLES if suite in suites):
        told += of_suite(suite, suites[suite], name)
    return told


def of_suite(suite: str, part: dict[str, Any], name: str) -> list[str]:
    """Title, command, table, figure."""
    given = part["provenance"]
    short = ", a SHORT run: small sizes, few rounds" if part["short"] else ""
    table = tables.TABLES[suite](part)
    if suite in LONG:
        table = f"<details><summary>table</summary>\n\n{table}\n\n</details>"
    told = [f"### {TITLES[suite]}", f"`{given['command']}`, {given['date']}{short}."]
    pictures = {"quality": "quality", "scaling": "scaling"}
    if suite in pictures:
        told.append(f"![{TITLES[suite]}](figures/benchmark_{pictures[suite]}_{name}.png)")
    return [*told, table]


def save_figures(folder: Path, machine: dict[str, Any]) -> None:
    """Those for which there are results."""
    from experiments.benchmark import plots
    from experiments.common import figures

    suites, name = machine["suites"], machine["machine"]
    if "quality" in suites:
        figures.save(plots.quality(suites["quality"]), folder / f"benchmark_quality_{name}.png")
    if "scaling" in suites:
        figures.save(plots.scaling(suites), folder / f"benchmark_scaling_{name}.png")
