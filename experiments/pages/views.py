"""Figures and the animation of the three views: noisy paths, the evolving density, smooth paths."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ddjax.compiled import compiled
from ddjax.mixtures import GaussianMixture
from ddjax.types import Schedule
from experiments.judges.views import FLOW, FORWARD, Views
from experiments.pages.figures import COLORS

PATHS = 24
LOW, HIGH = -3.2, 3.2
VIEWS = ("SDE: noisy paths", "Fokker-Planck: the density", "probability flow: smooth paths")
Tracks = dict[str, np.ndarray]  # name of the target -> states [times, n, d]


def drawn(
    folder: Path, shown: dict[str, tuple[GaussianMixture, Views]], curves: dict[str, Any], schedule: Schedule
) -> dict[str, tuple[Any, str]]:
    """Two figures, and the animation, written already."""
    mixtures = {name: mixture for name, (mixture, _) in shown.items()}
    noisy, smooth = (
        {name: views.states[view][:, :400] for name, (_, views) in shown.items()} for view in (FORWARD, FLOW)
    )
    times = next(iter(shown.values()))[1].times
    animation(folder / "three_views.gif", mixtures, noisy, smooth, schedule, times)
    return {
        "three_views.png": (
            still(mixtures, noisy, smooth, schedule, times),
            "The same starting points under the SDE and under its probability flow, and the density that both have at every time. "
            "In 1-D the paths of the flow never cross; those of the SDE do.",
        ),
        "joint.png": (
            joint(curves),
            "Rank correlation of x_0 with x_t: what tells the views apart, whose marginals are equal.",
        ),
        "three_views.gif": (None, "The same, moving: t from data to noise, slower where more happens."),
    }


def still(
    mixtures: dict[str, GaussianMixture], noisy: Tracks, smooth: Tracks, schedule: Schedule, times: np.ndarray
) -> Figure:
    """A row for each target: paths of the SDE, the density, paths of the flow."""
    figure = Figure(figsize=(9.6, 3.1 * len(mixtures)), layout="constrained")
    axes = figure.subplots(len(mixtures), 3, squeeze=False)
    for row, (name, mixture) in zip(axes, mixtures.items(), strict=True):
        line = mixture.means.shape[1] == 1
        for axis, tracks in ((row[0], noisy[name]), (row[2], smooth[name])):
            (_lines if line else _plane)(axis, tracks, times)
        if line:
            row[1].imshow(
                densities(mixture, schedule, times).T, origin="lower", cmap="Greys", aspect="auto",
                extent=(0, times[-1], LOW, HIGH), vmax=0.8,
            )  # fmt: skip
            row[1].set(xlabel="t", ylim=(LOW, HIGH))
        else:
            some = times[-1] * np.array([0, 0.06, 1])
            for t, color, values in zip(some, COLORS, densities(mixture, schedule, some), strict=False):
                row[1].contour(_grid(), _grid(), values, 4, colors=color, linewidths=0.8)
                row[1].plot([], [], color=color, label=f"t = {t:.2g}")
            row[1].legend(fontsize=7, frameon=False)
            row[1].set(xlim=(LOW, HIGH), ylim=(LOW, HIGH), aspect="equal")
        row[0].set_ylabel(name)
    for axis, title in zip(axes[0], VIEWS, strict=True):
        axis.set_title(title, fontsize=9)
    return figure


def animation(
    file: Path,
    mixtures: dict[str, GaussianMixture],
    noisy: Tracks,
    smooth: Tracks,
    schedule: Schedule,
    times: np.ndarray,
) -> None:
    """Paths that grow and densities that melt, a frame for each time, the last one held."""
    figure = Figure(figsize=(9, 3 * len(mixtures)), layout="constrained")
    axes = figure.subplots(len(mixtures), 3, squeeze=False)
    for axis, title in zip(axes[0], VIEWS, strict=True):
        axis.set_title(title, fontsize=9)
    known = {name: densities(mixture, schedule, times) for name, mixture in mixtures.items()}
    moving = []
    for row, (name, mixture) in zip(axes, mixtures.items(), strict=True):
        if mixture.means.shape[1] == 1:
            moving += [_growing(row[0], noisy[name], times), _growing(row[2], smooth[name], times)]
            (curve,) = row[1].plot(_grid(), known[name][0], color=COLORS[0])
            row[1].set(xlim=(LOW, HIGH), ylim=(0, 1.05 * known[name][0].max()))
            moving.append(lambda k, curve=curve, values=known[name]: curve.set_ydata(values[k]))
        else:
            moving += [_wandering(row[0], noisy[name]), _wandering(row[2], smooth[name])]
            image = row[1].imshow(known[name][0], origin="lower", cmap="Greys", extent=(LOW, HIGH, LOW, HIGH))
            moving.append(
                lambda k, image=image, values=known[name]: image.set(data=values[k], clim=(0, values[k].max()))
            )

    def draw(frame: int) -> None:
        k = min(frame, len(times) - 1)
        for move in moving:
            move(k)
        figure.suptitle(f"t = {times[k]:.2f}", fontsize=9)

    draw(0)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # found once, not for every frame
    FuncAnimation(figure, draw, frames=len(times) + 12).save(file, writer=PillowWriter(fps=12), dpi=60)


def joint(curves: dict[str, Any]) -> Figure:
    """Rank correlation of both ends, by view, and the exact line of the SDEs."""
    figure = Figure(figsize=(4.2 * len(curves), 3.4), layout="constrained")
    axes = figure.subplots(1, len(curves), squeeze=False)[0]
    for axis, (name, (times, exact, joined)) in zip(axes, curves.items(), strict=True):
        axis.plot(times, exact, color="black", linestyle="--", label="both SDEs, exact (Pearson)")
        for color, marker, (view, of) in zip(COLORS, ("o", "x", "s"), joined.items(), strict=False):
            axis.plot(times, of["over time"], marker=marker, color=color, linewidth=0.8, label=view)
        axis.set(title=name, xlabel="t", ylabel="rank correlation of $x_0$ with $x_t$", ylim=(-0.05, 1.05))
    axes[0].legend(fontsize=7, frameon=False)
    return figure


def densities(mixture: GaussianMixture, schedule: Schedule, times: np.ndarray) -> np.ndarray:
    """p_t on the grid at every time, [times, k], or [times, k, k] with the second coordinate in the rows."""
    points = _grid()[:, None] if mixture.means.shape[1] == 1 else np.stack(np.meshgrid(_grid(), _grid()), -1)
    flat = jnp.asarray(points.reshape(-1, points.shape[-1]), float)
    values = _densities(mixture, schedule, flat, jnp.asarray(times, float))
    return np.asarray(values).reshape(len(times), *points.shape[:-1])


@compiled
def _densities(mixture: GaussianMixture, schedule: Schedule, points: Array, times: Array) -> Array:
    return jax.lax.map(lambda t: jnp.exp(jax.vmap(mixture.diffuse(schedule, t).log_prob)(points)), times)


def _grid() -> np.ndarray:
    return np.linspace(LOW, HIGH, 81)


def _colors(tracks: np.ndarray) -> list[str]:
    """By the sign of the first coordinate at the start."""
    return [COLORS[int(x > 0)] for x in tracks[0, :PATHS, 0]]


def _lines(axis: Axes, tracks: np.ndarray, times: np.ndarray) -> None:
    for i, color in enumerate(_colors(tracks)):
        axis.plot(times, tracks[:, i, 0], color=color, linewidth=0.7)
    axis.set(xlabel="t", xlim=(0, times[-1]), ylim=(LOW, HIGH))


def _plane(axis: Axes, tracks: np.ndarray, times: np.ndarray) -> None:
    for i, color in enumerate(_colors(tracks)):
        axis.plot(*tracks[:, i].T, color=color, linewidth=0.6, alpha=0.8)
        axis.plot(*tracks[0, i], marker="o", markersize=3, color=color)
        axis.plot(*tracks[-1, i], marker="x", markersize=4, color=color)
    axis.set(xlim=(LOW, HIGH), ylim=(LOW, HIGH), aspect="equal")


def _growing(axis: Axes, tracks: np.ndarray, times: np.ndarray) -> Any:
    lines = [axis.plot([], [], color=color, linewidth=0.7)[0] for color in _colors(tracks)]
    axis.set(xlim=(0, times[-1]), ylim=(LOW, HIGH))

    def move(k: int) -> None:
        for i, line in enumerate(lines):
            line.set_data(times[: k + 1], tracks[: k + 1, i, 0])

    return move


def _wandering(axis: Axes, tracks: np.ndarray) -> Any:
    colors = np.where(tracks[0, :, 0] > 0, COLORS[1], COLORS[0])
    dots = axis.scatter(*tracks[0].T, s=4, c=colors, linewidths=0)
    axis.set(xlim=(LOW, HIGH), ylim=(LOW, HIGH), aspect="equal")
    return lambda k: dots.set_offsets(tracks[k])
