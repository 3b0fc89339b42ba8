"""Tables, figures and the animation of the three views: noisy paths, the evolving density, smooth paths."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
from jaxtyping import Array
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from ddjax.compiled import compiled
from ddjax.files import replacing
from ddjax.mixtures import GaussianMixture
from ddjax.types import Schedule
from experiments.common import report
from experiments.common.figures import COLORS
from experiments.three_views.evaluate import FLOW, FORWARD, Views

LINES, TRACKS = 24, 2  # paths drawn in 1-D, and for each component in the plane
LOW, HIGH = -3.2, 3.2
VIEWS = ("SDE: noisy paths", "Fokker-Planck: the density", "probability flow: smooth paths")
FRAME, HOLD = 80, 1500  # milliseconds of a frame, and of the last one
BY_HAND = ("g = 2, T = 1, data N(0, 4)", "std of both ends", "corr(x_0, x_T)", "exact", "corr given x_(T/2)")
ENDS = ("view", "corr(x_0, x_T)", "of ranks", "of residuals given the middle time", "10 nearest neighbours kept")
Tracks = dict[str, np.ndarray]  # name of the target -> states [times, n, d]


def tables(told: dict[str, Any], n: int, draws: int) -> list[report.Table]:
    """All tables of a summary."""
    title = f"By hand, n = {n * draws:,}: standard deviations are 2 and {(4 * np.exp(-2) - np.expm1(-2)) ** 0.5:.3f}"
    found = [report.plain(title, BY_HAND, by_hand(told["by hand"]))]
    for name, of in told["views"].items():
        title = f"{name}: MMD² to the exact marginal at 9 times, in standard deviations of the two-sample floor"
        found.append(report.plain(title, marginal_heads(told["times"]), marginals(of), "at most 4 is not told from it"))
        chance = 10 / (min(n, 2000) - 1)
        title = f"{name}: both ends together (neighbours kept by chance: {chance:.3f})"
        found.append(report.plain(title, ENDS, ends(of["joint"])))
    return found


def by_hand(found: dict[str, Any]) -> list[list[str]]:
    """A row for each view, of the Gaussian whose correlation is known."""
    rows = []
    for view, of in found.items():
        given = f"{of['given']:.4f} ± {of['given error']:.4f}" if of["error"] else "each end determines the other"
        std = ", ".join(f"{value:.3f}" for value in of["std"])
        rows.append([view, std, f"{of['pearson']:.4f} ± {of['error']:.4f}", f"{of['exact']:.4f}", given])
    return rows


def marginal_heads(times: list[float]) -> list[str]:
    """Of the table of marginals."""
    return ["view", *(f"t = {t:.2g}" for t in times)]


def marginals(of: dict[str, Any]) -> list[list[str]]:
    """A row for each view, MMD^2 to the exact marginal at each time over the floor's standard deviation, which comes last."""
    lines = [[view, *(f"{off:.1f}" for off in found)] for view, found in of["off"].items()]
    return [*lines, ["the floor's own, in MMD²", *(f"{std:.0e}" for std in of["floor"])]]


def ends(joint: dict[str, Any]) -> list[list[str]]:
    """A row for each view: what both ends have to do with each other."""
    return [[view, *(f"{of[key]:.3f}" for key in ("pearson", "ranks", "given", "kept"))] for view, of in joint.items()]


def drawn(
    folder: Path, shown: dict[str, tuple[GaussianMixture, Views]], told: dict[str, Any], schedule: Schedule
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
            "The same starting points under the SDE and under its probability flow, and the density that both have at every time; "
            "colours say from which hump a point comes. In 1-D the paths of the flow never cross; those of the SDE do. "
            "The axis of time is that of its square root.",
        ),
        "joint_laws.png": (
            joint(told["times"], told["views"]),
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
            (_lines if line else _plane)(axis, tracks, kinds(mixture, tracks[0]), times)
        if line:
            values = densities(mixture, schedule, times).T
            row[1].contourf(times, _grid(), values, np.linspace(0, 0.8, 17), cmap="Greys")
            row[1].set(ylim=(LOW, HIGH))
            _by_root(row[1], times)
        else:
            some = times[-1] * np.array([0, 0.06, 1])
            looks = zip(("0.65", "0.35", "0"), ("solid", "dashed", "solid"), strict=True)
            for t, (color, style), values in zip(some, looks, densities(mixture, schedule, some), strict=True):
                levels = values.max() * np.array([0.1, 0.4, 0.8])
                row[1].contour(_grid(), _grid(), values, levels, colors=color, linewidths=0.9, linestyles=style)
                row[1].plot([], [], color=color, linestyle=style, linewidth=0.9, label=f"t = {t:.2g}")
            row[1].legend(fontsize=7, frameon=False, loc="lower left")
            _square(row[1])
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
    figure = Figure(figsize=(9, 3.1 * len(mixtures)), layout="constrained", dpi=60)
    axes = figure.subplots(len(mixtures), 3, squeeze=False)
    for axis, title in zip(axes[0], VIEWS, strict=True):
        axis.set_title(title, fontsize=9)
    known = {name: densities(mixture, schedule, times) for name, mixture in mixtures.items()}
    moving = []
    for row, (name, mixture) in zip(axes, mixtures.items(), strict=True):
        of = kinds(mixture, noisy[name][0])  # of both views: they start at the same points
        if mixture.means.shape[1] == 1:
            moving += [_growing(row[0], noisy[name], of, times), _growing(row[2], smooth[name], of, times)]
            (curve,) = row[1].plot(_grid(), known[name][0], color="black", animated=True)
            row[1].set(xlim=(LOW, HIGH), ylim=(0, 1.05 * known[name][0].max()), xlabel="x")
            moving.append(([curve], lambda k, curve=curve, values=known[name]: curve.set_ydata(values[k])))
        else:
            moving += [_wandering(row[0], noisy[name], of), _wandering(row[2], smooth[name], of)]
            box = (LOW, HIGH, LOW, HIGH)
            image = row[1].imshow(known[name][0], origin="lower", cmap="Greys", extent=box, animated=True)
            change = lambda k, image=image, values=known[name]: image.set(data=values[k], clim=(0, values[k].max()))  # noqa: E731
            moving.append(([image, *row[1].spines.values()], change))
    clock = figure.suptitle("t = 0.00", fontsize=9, animated=True)
    moving.append(([clock], lambda k: clock.set_text(f"t = {times[k]:.2f}")))
    frames = filmed(figure, moving, len(times))
    spans = [FRAME] * (len(frames) - 1) + [HOLD]
    with replacing(file) as out:
        frames[0].save(out, format="GIF", save_all=True, append_images=frames[1:], duration=spans, loop=0)


def filmed(figure: Figure, moving: list[Any], n: int) -> list[Image.Image]:
    """n frames, of which only the moving artists are drawn anew, in tints of black and of the colours of components."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    figure.set_layout_engine("none")  # found once, not for every frame
    behind, frames = canvas.copy_from_bbox(figure.bbox), []
    for k in range(n):
        canvas.restore_region(behind)
        for artists, change in moving:
            change(k)
            for artist in artists:
                figure.draw_artist(artist)
        frames.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()))
    tints = [
        1 - depth * (1 - np.array(to_rgb(color)))
        for color, levels in (("black", 64), *((color, 16) for color in COLORS[:3]))
        for depth in np.linspace(0, 1, levels)
    ]
    palette = Image.new("P", (1, 1))
    palette.putpalette((255 * np.array(tints)).round().astype(np.uint8).tobytes())
    return [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]


def joint(times: list[float], views: dict[str, Any]) -> Figure:
    """Rank correlation of x_0 with x_t, by view, and the exact line of the SDEs."""
    figure = Figure(figsize=(4.2 * len(views), 3.4), layout="constrained")
    axes = figure.subplots(1, len(views), squeeze=False)[0]
    for axis, (name, of) in zip(axes, views.items(), strict=True):
        axis.plot(times, of["exact"], color="black", linestyle="--", label="both SDEs, exact (Pearson)")
        for color, marker, (view, joined) in zip(COLORS, ("o", "x", "s"), of["joint"].items(), strict=False):
            axis.plot(times, joined["over time"], marker=marker, markersize=5, color=color, linewidth=0.8, label=view)
        axis.set(title=name, xlabel="t", ylabel="rank correlation of $x_0$ with $x_t$", ylim=(-0.05, 1.05))
    axes[0].legend(fontsize=7, frameon=False)
    return figure


def kinds(mixture: GaussianMixture, x_0: np.ndarray) -> np.ndarray:
    """The likeliest component of each point [n]."""
    parts = zip(*map(np.asarray, (mixture.weights, mixture.means, mixture.covs)), strict=True)
    each = [np.log(w) + scipy.stats.multivariate_normal(mean, cov).logpdf(x_0) for w, mean, cov in parts]
    return np.argmax(np.reshape(each, (-1, len(x_0))), 0)  # SciPy drops the axis of a single point


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


def _few(of: np.ndarray) -> np.ndarray:
    """The first tracks of each component."""
    return np.concatenate([np.flatnonzero(of == kind)[:TRACKS] for kind in np.unique(of)])


def _by_root(axis: Axes, times: np.ndarray) -> None:
    """Time along its square root, as the times of the states are spaced: more room near the data."""
    axis.set_xscale("function", functions=(lambda t: np.sqrt(np.maximum(t, 0)), np.square))
    ticks = times[-1] * np.array([0, 0.05, 0.2, 0.5, 1])
    axis.set_xticks(ticks, [f"{t:.2g}" for t in ticks])
    axis.set(xlabel="t", xlim=(0, times[-1]))


def _square(axis: Axes) -> None:
    axis.set(xlim=(LOW, HIGH), ylim=(LOW, HIGH), aspect="equal")


def _lines(axis: Axes, tracks: np.ndarray, of: np.ndarray, times: np.ndarray) -> None:
    for i in range(min(LINES, len(of))):
        axis.plot(times, tracks[:, i, 0], color=COLORS[of[i]], linewidth=0.7)
    axis.set(ylim=(LOW, HIGH))
    _by_root(axis, times)


def _plane(axis: Axes, tracks: np.ndarray, of: np.ndarray, times: np.ndarray) -> None:
    axis.scatter(*tracks[0].T, s=2, color="0.8", linewidths=0)
    for i in _few(of):
        axis.plot(*tracks[:, i].T, color=COLORS[of[i]], linewidth=0.7)
        axis.plot(*tracks[0, i], marker="o", markersize=4, color=COLORS[of[i]])
        axis.plot(*tracks[-1, i], marker="x", markersize=5, markeredgewidth=1.6, color=COLORS[of[i]])
    _square(axis)


def _growing(axis: Axes, tracks: np.ndarray, of: np.ndarray, times: np.ndarray) -> Any:
    lines = [axis.plot([], [], color=COLORS[kind], linewidth=0.7, animated=True)[0] for kind in of[:LINES]]
    axis.set(ylim=(LOW, HIGH))
    _by_root(axis, times)

    def grow(k: int) -> None:
        for i, line in enumerate(lines):
            line.set_data(times[: k + 1], tracks[: k + 1, i, 0])

    return lines, grow


def _wandering(axis: Axes, tracks: np.ndarray, of: np.ndarray) -> Any:
    dots = axis.scatter(*tracks[0].T, s=4, c=[COLORS[kind] for kind in of], linewidths=0, animated=True)
    _square(axis)
    return [dots], lambda k: dots.set_offsets(tracks[k])
