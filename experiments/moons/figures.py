"""Figures of the two-moons page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.figures import COLORS
from experiments.moons.judging import WATCHED

_MOONS = ("#0072B2", "#D55E00")
_VIEW = {"xlim": (-3.2, 3.7), "ylim": (-3.2, 3.5), "xticks": [], "yticks": []}


def watched(rows: Sequence[dict[str, Any]], floors: dict[str, tuple[float, float]]) -> Figure:
    """Each number of the page against the training step, with the floor as a band: the page's missing metrics plot."""
    figure = Figure(figsize=(3.1 * len(WATCHED), 3.2), layout="constrained")
    axes = figure.subplots(1, len(WATCHED))
    jobs = list(dict.fromkeys(row["job"] for row in rows))
    for axis, (name, metric) in zip(axes, WATCHED.items(), strict=True):
        for color, job in zip(COLORS * 3, jobs, strict=False):
            points = [(row["step"], row[name]) for row in rows if row["job"] == job]
            axis.plot(*zip(*points, strict=True), color=color, linewidth=1, marker="o", markersize=2, label=job)
        mean, std = floors[name]
        axis.axhspan(mean - std, mean + std, color="0.85", label="floor")
        axis.set_title(metric.title.replace(", ", ",\n", 1), fontsize=8)
        axis.set(xlabel="step", yscale="linear" if name in ("coverage", "density") else "log")
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=7, frameon=False, loc="outside lower center", ncols=4)
    return figure


def losses(rows: Sequence[dict[str, Any]]) -> Figure:
    """The loss of every job of seed 0 against the step: a lower one is not a better model, a coupling lowers it."""
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axis = figure.subplots()
    jobs = [job for job in dict.fromkeys(row["job"] for row in rows) if job.endswith("seed0")]
    for color, job in zip(COLORS * 3, jobs, strict=False):
        points = [(row["step"], row["loss"]) for row in rows if row["job"] == job]
        axis.plot(*zip(*points, strict=True), color=color, linewidth=1, label=job)
    axis.set(xlabel="step", ylabel="loss", yscale="log")
    axis.legend(fontsize=7, frameon=False)
    return figure


def trajectories(paths: dict[str, np.ndarray], times: np.ndarray) -> Figure:
    """Six snapshots of each model's samples on their way from noise to data, with some of their tracks."""
    shown = np.linspace(0, len(times) - 1, 6).round().astype(int)
    figure = Figure(figsize=(1.9 * len(shown), 1.85 * len(paths) + 0.3), layout="constrained")
    axes = figure.subplots(len(paths), len(shown), squeeze=False)
    for row, (name, path) in zip(axes, paths.items(), strict=True):
        for axis, k in zip(row, shown, strict=True):
            axis.plot(path[: k + 1, :40, 0], path[: k + 1, :40, 1], color="0.75", linewidth=0.4, zorder=0)
            _moons(axis, path[k], path[-1])
        row[0].set_ylabel(name, fontsize=7)
    for axis, k in zip(axes[0], shown, strict=True):
        axis.set_title(f"t = {times[k]:.2g}", fontsize=9)
    return figure


def animation(file: Path, paths: dict[str, np.ndarray], times: np.ndarray) -> None:
    """The same as a GIF, one frame for each step, the last one held."""
    figure = Figure(figsize=(2.6 * len(paths), 2.9), layout="constrained")
    axes = figure.subplots(1, len(paths), squeeze=False)[0]
    dots = []
    for axis, (name, path) in zip(axes, paths.items(), strict=True):
        dots.append(_moons(axis, path[0], path[-1]))
        axis.set_title(name, fontsize=9)

    def draw(frame: int) -> None:
        k = min(frame, len(times) - 1)
        for dot, path in zip(dots, paths.values(), strict=True):
            dot.set_offsets(path[k])
        figure.suptitle(f"t = {times[k]:.2f}", fontsize=9)

    frames = FuncAnimation(figure, draw, frames=len(times) + 12)
    frames.save(file, writer=PillowWriter(fps=12), dpi=70)


def few_steps(clouds: dict[str, Sequence[np.ndarray]], nfe: Sequence[int]) -> Figure:
    """Samples by number of steps, a row for each model."""
    figure = Figure(figsize=(1.9 * len(nfe), 1.85 * len(clouds) + 0.3), layout="constrained")
    axes = figure.subplots(len(clouds), len(nfe), squeeze=False)
    for row, (name, samples) in zip(axes, clouds.items(), strict=True):
        for axis, cloud in zip(row, samples, strict=True):
            axis.scatter(cloud[:, 0], cloud[:, 1], s=1.0, alpha=0.4, linewidths=0, color=_MOONS[0], rasterized=True)
            axis.set(xlim=(-1.5, 2.5), ylim=(-1.1, 1.6), xticks=[], yticks=[])
        row[0].set_ylabel(name, fontsize=7)
    for axis, n in zip(axes[0], nfe, strict=True):
        axis.set_title(f"{n} step{'s' * (n > 1)}", fontsize=9)
    return figure


def _moons(axis: Axes, points: np.ndarray, ends: np.ndarray):
    """Points coloured by the moon on which they end: the one whose half circle is nearer."""
    to_outer = np.abs(np.hypot(ends[:, 0], ends[:, 1]) - 1) + np.maximum(-ends[:, 1], 0)
    to_inner = np.abs(np.hypot(ends[:, 0] - 1, ends[:, 1] - 0.5) - 1) + np.maximum(ends[:, 1] - 0.5, 0)
    axis.set(**_VIEW)
    colors = np.where(to_outer < to_inner, *_MOONS)
    return axis.scatter(points[:, 0], points[:, 1], s=2.0, alpha=0.6, c=colors, linewidths=0)
