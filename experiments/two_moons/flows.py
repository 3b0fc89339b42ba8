"""Figures of samples on their way from noise to data, coloured by where they end."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ddjax.files import replacing
from experiments.common.figures import COLORS

_VIEW: dict[str, Any] = {"xlim": (-3.2, 3.7), "ylim": (-3.2, 3.5), "xticks": [], "yticks": []}


def trajectories(paths: dict[str, np.ndarray], times: np.ndarray) -> Figure:
    """Six snapshots of each model's samples [steps + 1, n, 2] on their way from noise to data, with some of their tracks."""
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

    figure.suptitle("t = 1.00", fontsize=9)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # found once, not for every frame
    with tempfile.TemporaryDirectory() as scratch, replacing(file) as out:  # the writer takes the name of a file alone
        frames = FuncAnimation(figure, draw, frames=len(times) + 12)
        frames.save(f"{scratch}/flow.gif", writer=PillowWriter(fps=12), dpi=70)
        out.write(Path(scratch, "flow.gif").read_bytes())


def nearer_moon(points: np.ndarray) -> np.ndarray:
    """0 for points [n, 2] nearer to the half circle of the outer moon, 1 for the inner one."""
    to_outer = np.abs(np.hypot(points[:, 0], points[:, 1]) - 1) + np.maximum(-points[:, 1], 0)
    to_inner = np.abs(np.hypot(points[:, 0] - 1, points[:, 1] - 0.5) - 1) + np.maximum(points[:, 1] - 0.5, 0)
    return np.where(to_outer < to_inner, 0, 1)


def _moons(axis: Axes, points: np.ndarray, ends: np.ndarray):
    """Points coloured by the moon on which they end."""
    axis.set(**_VIEW)
    colors = np.array(COLORS)[nearer_moon(ends)]
    return axis.scatter(points[:, 0], points[:, 1], s=2.0, alpha=0.6, c=colors, linewidths=0)
