"""What the page of the few-step family says and shows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from ddjax import judging, runs
from ddjax.judging import Number
from experiments.common import figures, report
from experiments.common.readings import HIGHER, LOWER
from experiments.common.report import Table
from experiments.common.runner import Findings
from experiments.family import grid_report as grid_pages
from experiments.family.evaluate import Seconds
from experiments.family.evaluate import target as target_of
from experiments.family.grids import Judged

SHOWN, IMAGES = 2000, 16  # points, or digits of a model, in a picture
BESIDE = "ddm"  # the preset that all others are compared with
Closed = Mapping[str, Mapping[str, Mapping[Any, float]]]


class Measure(NamedTuple):
    """A metric that decides: its name, how it is told, and with how many digits."""

    name: str
    title: str
    digits: int


W_1, MMD_2 = Measure("w1", "W₁", 3), Measure("mmd2", "MMD²", 4)


def deciding(target: str) -> Measure:
    """W_1 in the plane; MMD^2 of digits, where W_1 between 180 points in 64 dimensions rewards blur."""
    return MMD_2 if target == "digits" else W_1


def findings(
    run: Path,
    numbers: Sequence[Number],
    titles: dict[str, str],
    clouds: dict[str, dict[str, list[np.ndarray]]],
    closed: Closed,
    grids: dict[str, dict[int, Judged]],
    seconds: dict[str, Seconds],
    nfe: Sequence[int],
) -> Findings:
    """All that the runner writes and prints."""
    return Findings(
        numbers,
        titles,
        "value is the median over seeds; low and high are the smallest and largest seed",
        {
            "gap_closed": closed,
            "grids": {name: {n: one._asdict() for n, one in of.items()} for name, of in grids.items()},
            "timing": {name: of._asdict() for name, of in seconds.items()},
        },
        drawn(run, numbers, clouds, seconds, nfe),
        notes=[grid_pages.sentence(name, of) for name, of in grids.items()],
        verdict=". ".join(verdict(numbers, target, of) for target, of in closed.items()),
        tables=[
            *gap_tables(closed),
            *difference_tables(numbers, closed),
            *(grid_pages.table(name, of) for name, of in grids.items()),
            *time_tables(seconds),
        ],
    )


def verdict(numbers: Sequence[Number], target: str, closed: Mapping[str, Mapping[Any, float]], at: int = 4) -> str:
    """The best model at `at` steps, its share of the gap where there is one, and whether more steps harm it."""
    named, by = _told(target), deciding(target)
    trained = of_models(numbers, target)
    there = [n for n in trained if n.nfe == at]
    if not there:
        return f"{named}: not judged at {at} steps"
    best = min(there, key=lambda number: number.value)
    worse = judging.rises([n for n in trained if n.model == best.model])
    harm = "; ".join(f"worse at {more} than at {few} steps by {rise.value:.2g}" for few, more, rise in worse)
    calm = f"no number of steps is shown to be worse than fewer, by {best.seeds} seed{'s' * (best.seeds > 1)}"
    gap = closed.get(best.model, {}).get(at)
    share = "" if gap is None else f", {100 * gap:.1f} % of the gap between the exact mean and the floor closed"
    told = f"{best.value:.{by.digits}f} where the floor is {best.floor:.{by.digits}f}{share}"
    return f"{named}, {by.title} at {at} steps: {best.model} has {told}; {harm or calm}"


def of_models(numbers: Sequence[Number], target: str) -> list[Number]:
    """The deciding metric of the trained models on a target, at one churn."""
    metric = f"{deciding(target).name} {target}"
    return _at_one_churn([n for n in numbers if n.metric == metric and n.trained])


def told_numbers(numbers: Sequence[Number], target: str, by: Measure = W_1) -> str:
    """A metric of every model as a Markdown table, with the range of its seeds and the floor."""
    chosen, digits = [n for n in numbers if n.metric == f"{by.name} {target}"], by.digits
    steps = sorted({n.nfe for n in chosen})
    lines = [
        [*names, *(_with_range(of[n], digits) if n in of else "" for n in steps)] for names, of in judging.rows(chosen)
    ]
    floor = f"floor {chosen[0].floor:.{digits}f} ± {chosen[0].floor_std:.{digits}f}"
    return f"{_told(target)}, {by.title} ({floor})\n\n{judging.markdown(judging.heads(chosen), lines)}"


def _with_range(number: Number, digits: int) -> str:
    return f"{number.value:.{digits}f} ({number.low:.{digits}f}, {number.high:.{digits}f})"


def gap_tables(closed: Closed) -> list[Table]:
    """The share of the gap that each preset closes, by target."""
    tables = []
    for target, by_model in closed.items():
        if by_model:
            title = f"{_told(target)}: percent of the gap in W₁ between the exact mean and the floor that is closed"
            steps = list(next(iter(by_model.values())))
            lines = [[name, *(f"{100 * of[n]:.1f}" for n in steps)] for name, of in by_model.items()]
            tables.append(report.plain(title, ["model", *(figures.steps_of(int(n)) for n in steps)], lines, HIGHER))
    return tables


def difference_tables(numbers: Sequence[Number], closed: Closed) -> list[Table]:
    """What the deciding metric of each model is above that of `ddm`, over paired seeds, by target."""
    tables = []
    for target in closed:
        by = deciding(target)
        trained = [n for n in numbers if n.metric == f"{by.name} {target}" and n.trained]
        lines, steps = differences(trained, by.digits)
        if lines:
            title = f"{_told(target)}: {by.title} above that of {BESIDE}, mean over paired seeds and 95 % t interval of each"
            tables.append(report.plain(title, ["model", *map(figures.steps_of, steps)], lines, LOWER))
    return tables


def differences(numbers: Sequence[Number], digits: int = 3) -> tuple[list[list[str]], list[int]]:
    """A row for each model but `ddm`, and the numbers of steps; no row where that was not trained, or one seed alone."""
    of = {(n.model, n.nfe): n.by_seed for n in _at_one_churn(numbers)}
    steps = sorted({n for name, n in of if name == BESIDE and len(of[name, n]) > 1})
    lines = []
    for name in dict.fromkeys(name for name, _ in of if name != BESIDE):
        found = [judging.paired(of[name, n], of[BESIDE, n]) for n in steps]
        lines.append(
            [name, *(f"{one.value:.{digits}f} [{one.low:.{digits}f}, {one.high:.{digits}f}]" for one in found)]
        )
    return (lines if steps else []), steps


def _at_one_churn(numbers: Sequence[Number]) -> list[Number]:
    """Those of the largest churn, and those that have none or one step alone, as `judging.gap_closed` takes them."""
    churn = max((n.churn for n in numbers if n.churn is not None), default=None)
    return [n for n in numbers if n.churn in (None, churn) or n.nfe == 1]


def time_tables(seconds: dict[str, Seconds]) -> list[Table]:
    """Milliseconds of a training step and of drawing all samples."""
    if not seconds:
        return []
    steps = next(iter(seconds.values())).draw
    heads = ["model", "training step", *map(figures.steps_of, steps)]
    lines = [[name, *(f"{1e3 * t:.2f}" for t in (of.step, *of.draw.values()))] for name, of in seconds.items()]
    return [report.plain("Milliseconds on this machine: a training step, and drawing all samples", heads, lines, LOWER)]


def drawn(
    run: Path,
    numbers: Sequence[Number],
    clouds: dict[str, dict[str, list[np.ndarray]]],
    seconds: dict[str, Seconds],
    nfe: Sequence[int],
) -> dict[str, tuple[Figure, str]]:
    """Distance by steps and by seconds and samples of every target, training curves."""
    pictures = {}
    for target, rows in clouds.items():
        by = deciding(target)
        pictures[f"{by.name}_{target}.png"] = (
            figures.by_steps(numbers, f"{by.name} {target}", f"{by.title}, {_told(target)}"),
            "Distance to fresh data against steps. Dashed: the two oracles.",
        )
        pictures[f"samples_{target}.png"] = _digits(rows, nfe) if target == "digits" else _points(target, rows, nfe)
    pictures["seconds.png"] = (
        by_seconds(numbers, next(iter(clouds)), seconds),
        "Distance against the time that sampling takes.",
    )
    curves = figures.training(runs.read_metrics(run), ("loss",))
    return pictures | {"training.png": (curves, "Training curves: means over 100 steps.")}


def _points(target: str, rows: dict[str, list[np.ndarray]], nfe: Sequence[int]) -> tuple[Figure, str]:
    points = np.concatenate([np.concatenate(of_steps) for of_steps in rows.values() if of_steps])
    low, high = np.quantile(points, 0.001, 0) - 0.2, np.quantile(points, 0.999, 0) + 0.2
    shown = {name: [cloud[:SHOWN] for cloud in of_steps] for name, of_steps in rows.items()}
    kinds = {name: [moon_of(cloud) for cloud in of] for name, of in shown.items()} if target == "moons" else None
    figure = figures.clouds(shown, [*map(figures.steps_of, nfe)], (low, high), kinds)
    return figure, "Samples by number of steps, seed 0; last row: fresh data."


def moon_of(points: np.ndarray) -> np.ndarray:
    """0 for points nearer to the outer moon, 1 for the inner one, both as the target has them: its components in two halves."""
    means = np.asarray(target_of("moons").law.means)  # pyright: ignore[reportOptionalMemberAccess]
    nearest = np.argmin(((points[:, None] - means[None]) ** 2).sum(-1), 1)
    return nearest * 2 // len(means)


def _digits(rows: dict[str, list[np.ndarray]], nfe: Sequence[int]) -> tuple[Figure, str]:
    at = 4 if 4 in nfe else nfe[0]
    shown = {name: of_steps[list(nfe).index(at)][:IMAGES].reshape(-1, 8, 8, 1) for name, of_steps in rows.items()}
    return figures.grid(shown), f"Digits at {figures.steps_of(at)}, seed 0; last row: held-out ones."


def by_seconds(numbers: Sequence[Number], target: str, seconds: dict[str, Seconds]) -> Figure:
    """The deciding metric against the seconds in which all samples are drawn, log-log."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axis = figure.subplots()
    for i, (name, of) in enumerate(seconds.items()):
        found = {n.nfe: n for n in numbers if n.model == name and n.metric == f"{deciding(target).name} {target}"}
        style = {
            "color": figures.COLORS[i % len(figures.COLORS)],
            "linestyle": figures.STYLES[i // len(figures.COLORS)],
        }
        axis.plot(
            [1e3 * of.draw[n] for n in found],
            [n.value for n in found.values()],
            marker="o",
            markersize=4,
            label=name,
            **style,
        )
        floor = next(iter(found.values())).floor
    axis.axhline(floor, color="0.5", linestyle=":", label="floor")
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="milliseconds for all samples",
        ylabel=f"{deciding(target).title}, {_told(target)}",
    )
    for ticks in (axis.xaxis, axis.yaxis):
        figures.readable(ticks)
    figure.legend(fontsize=8, frameon=False, loc="outside right center")
    return figure


def _told(target: str) -> str:
    return target.replace("_", " ")
