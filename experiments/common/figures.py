"""Figures of a run, as matplotlib Figures to be saved or shown; none touches global state."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from ddjax.files import replacing
from ddjax.judging import Number, Spread
from experiments.common import readings

# Okabe-Ito: distinct for colour-blind readers
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "-.", ":")  # of the first models that have all colours, of the next


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format that the name ends with. Raises: OSError, as `files.replacing` does."""
    with replacing(path) as file:
        figure.savefig(file, format=path.suffix[1:], dpi=110)


def steps_of(n: int) -> str:
    """n steps, in words."""
    return f"{n} step{'s' * (n > 1)}"


def clouds(
    rows: dict[str, Sequence[np.ndarray]],
    titles: Sequence[str],
    window: tuple[np.ndarray, np.ndarray],
    kinds: dict[str, Sequence[np.ndarray]] | None = None,
) -> Figure:
    """Scatter plots of points [n, 2]: a row for each model, a column for each title, all in one window (low, high).

    Args:
        kinds: of every point, 0 to 2, as its colour; rows as those of the points.
    """
    low, high = window
    figure = Figure(figsize=(1.7 * len(titles), 1.6 * len(rows) + 0.3), layout="constrained")
    axes = figure.subplots(len(rows), len(titles), sharex=True, sharey=True, squeeze=False)
    for row, (name, drawn) in zip(axes, rows.items(), strict=True):
        for i, (axis, cloud, title) in enumerate(zip(row, drawn, titles, strict=True)):
            color = "0.4" if title == "truth" else COLORS[0]
            told = {"color": color} if kinds is None else {"c": np.array(COLORS)[kinds[name][i]]}
            axis.scatter(cloud[:, 0], cloud[:, 1], s=1.0, alpha=0.4, linewidths=0, rasterized=True, **told)
            axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xticks=[], yticks=[])
        row[0].set_ylabel(name.replace(" (", "\n("), fontsize=8)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=9)
    return figure


def by_steps(numbers: Sequence[Number], metric: str, label: str, *, churn: float | None = None) -> Figure:
    """One metric against the number of steps, log-log, with the range of every number and the floor.

    Where the floor is noise around 0, what lies within two of its standard deviations is drawn on that line: so may the truth.
    """
    chosen = [n for n in numbers if n.metric == metric and (churn is None or n.churn == churn or n.nfe == 1)]
    floor, clip = chosen[0].floor, chosen[0].floor_std and readings.noise(chosen[0])
    above = clip is None or floor > clip  # a distance between samples, whose floor is no noise around 0
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axis = figure.subplots()
    for i, model in enumerate(dict.fromkeys(n.model for n in chosen)):
        of_model = [n for n in chosen if n.model == model]
        value, low, high = (
            np.maximum([getattr(n, name) for n in of_model], -np.inf if above else clip)
            for name in ("value", "low", "high")
        )
        bars = np.maximum(np.stack([value - low, high - value]), 0)
        style = {
            "linestyle": STYLES[i // len(COLORS) % len(STYLES)] if of_model[0].trained else "--",
            "color": COLORS[i % len(COLORS)],
        }
        axis.errorbar([n.nfe for n in of_model], value, bars, marker="o", markersize=4, capsize=2, label=model, **style)
    if clip is None:
        axis.axhline(floor, color="0.5", linestyle="--", label="floor")
    elif above:
        axis.axhspan(floor - clip, floor + clip, color="0.85", label="floor and two of its standard deviations")
    else:
        axis.axhspan(clip / 2, clip, color="0.85", label="within two floor standard deviations")
    steps = sorted({n.nfe for n in chosen})
    axis.set(xscale="log", yscale="log", xlabel="steps (calls of the denoiser)", ylabel=label)
    axis.set_xticks(steps, [str(n) for n in steps])
    axis.xaxis.minorticks_off()
    readable(axis.yaxis)
    told = "" if churn is None else f", churn {churn:g}"
    fewest, most = (pick(n.draws for n in chosen if n.trained) for pick in (min, max))
    draws = f"{fewest}{f' to {most}' * (most > fewest)} draw{'s' * (most > 1)}"
    axis.set_title(f"{draws} for each trained point{told}", fontsize=9)
    if len({n.model for n in chosen}) > len(COLORS):
        figure.legend(fontsize=8, frameon=False, loc="outside right center")
    else:
        axis.legend(fontsize=8, frameon=False)
    return figure


def readable(axis: Axis) -> None:
    """Ticks of a log axis in plain numbers: at 1, 2 and 5 of each decade; closer where it spans less, decades where more."""
    low, high = axis.get_view_interval()
    if high < 100 * low:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high > 5 * low else MaxNLocator(5))
        axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def spread(curves: dict[str, Spread]) -> Figure:
    """Learned and exact posterior standard deviation against time."""
    figure = Figure(figsize=(5.6, 3.8), layout="constrained")
    axis = figure.subplots()
    for i, (name, curve) in enumerate(curves.items()):
        for learned in curve.learned:
            style = {"marker": "o", "markersize": 3, "linewidth": 1, "color": COLORS[i % len(COLORS)]}
            axis.plot(curve.t, learned, label=name if learned is curve.learned[0] else None, **style)
    axis.plot(curve.t, curve.exact, color="black", linestyle="--", label="exact")
    axis.set(xlabel="t", ylabel="posterior standard deviation of $x_0$ given $x_t$")
    axis.legend(fontsize=8, frameon=False)
    return figure


def training(rows: Sequence[dict[str, Any]], names: Sequence[str] = ("loss",)) -> Figure:
    """Logged numbers of every job against the step; losses on log axes. A job whose number is 0 throughout is left out.

    Losses that are scores of several draws and those that are squared errors have an axis each: they are in other units. The parts
    of a score are those of several draws alone.
    """
    scored = {row["job"] for row in rows if row.get("interaction")}
    unit = {job: "scoring rule" if job in scored else "squared error" for job in dict.fromkeys(r["job"] for r in rows)}
    told = [
        {"job": row["job"], "step": row["step"], unit[row["job"]]: row["loss"]} | (row if row["job"] in scored else {})
        for row in rows
    ]
    losses = {one: f"loss, {one}" for one in dict.fromkeys(unit.values())}
    titles = {name: name for name in names if name != "loss"}

    def finish(axis: Any, name: str) -> None:
        if name in losses:
            axis.set(yscale="log")
            readable(axis.yaxis)

    return curves(told, losses | titles, finish)


def curves(rows: Sequence[dict[str, Any]], titles: dict[str, str], finish: Callable[[Any, str], Any]) -> Figure:
    """One plot for each title: its number of every job against the step; `finish(axis, name)` adds what belongs to it."""
    figure = Figure(figsize=(3.2 * max(len(titles), 2), 3.2), layout="constrained")
    axes = figure.subplots(1, len(titles), squeeze=False)[0]
    jobs = list(dict.fromkeys(row["job"] for row in rows))
    for axis, (name, title) in zip(axes, titles.items(), strict=True):
        for i, job in enumerate(jobs):
            points = [(row["step"], row[name]) for row in rows if row["job"] == job and name in row]
            if any(value for _, value in points):
                style = {"color": COLORS[i % len(COLORS)], "linestyle": STYLES[i // len(COLORS) % len(STYLES)]}
                dots = "." if len(points) < 30 else None
                axis.plot(*zip(*points, strict=True), linewidth=1, marker=dots, label=job, **style)
        finish(axis, name)
        axis.set_xlabel("step")
        axis.set_title(title.replace(", ", ",\n", 1), fontsize=8)
    labelled = {label: line for axis in axes for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    told = {"fontsize": 7, "frameon": False, "loc": "outside lower center", "ncols": 4}
    figure.legend(labelled.values(), labelled.keys(), **told)
    return figure


def grid(rows: dict[str, np.ndarray], title: str = "") -> Figure:
    """Images [k, h, w, c] in [-1, 1], a row for each name."""
    count = max(len(images) for images in rows.values())
    figure = Figure(figsize=(0.62 * count + 1.4, 0.66 * len(rows) + 0.5), layout="constrained")
    axes = figure.subplots(len(rows), count, squeeze=False)
    for row, (name, images) in zip(axes, rows.items(), strict=True):
        for axis in row:
            axis.set_axis_off()
        for axis, image in zip(row, images, strict=False):
            pixels = np.clip((np.asarray(image, np.float64) + 1) / 2, 0, 1)
            axis.imshow(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels, cmap="gray", vmin=0, vmax=1)
        row[0].text(-0.15, 0.5, name, transform=row[0].transAxes, ha="right", va="center", fontsize=7)
    if title:
        figure.suptitle(title, fontsize=9)
    return figure
