"""Figures of a run, as matplotlib Figures to be saved or shown; none touches global state."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.evaluation import Spread
from experiments.numbers import Number

# Okabe-Ito: distinct for colour-blind readers
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def samples(pictures: dict[str, Sequence[np.ndarray]], truth: np.ndarray, nfe: Sequence[int]) -> Figure:
    """Scatter plots: a row for each model, a column for each number of steps, the truth at the right."""
    rows, columns = len(pictures), len(nfe) + 1
    figure = Figure(figsize=(1.7 * columns, 1.6 * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    low, high = truth.min(0) - 1.0, truth.max(0) + 1.0
    for row, (name, clouds) in zip(axes, pictures.items(), strict=True):
        for axis, cloud, color in zip(row, [*clouds, truth], [COLORS[0]] * len(nfe) + ["0.4"], strict=True):
            axis.scatter(cloud[:, 0], cloud[:, 1], s=1.0, alpha=0.4, color=color, linewidths=0, rasterized=True)
            axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xticks=[], yticks=[])
        row[0].set_ylabel(name.replace(" (", "\n("), fontsize=8)
    for axis, n in zip(axes[0], nfe, strict=False):
        axis.set_title(f"{n} step{'s' * (n > 1)}", fontsize=9)
    axes[0][-1].set_title("truth", fontsize=9)
    return figure


def distance_by_steps(numbers: Sequence[Number], metric: str, *, churn: float) -> Figure:
    """One metric against the number of steps, log-log, with the range of every number and the floor.

    What lies at or below one floor standard deviation is drawn on that line: it is not told from the truth.
    """
    chosen = [n for n in numbers if n.metric == metric and (n.churn == churn or n.nfe == 1)]
    clip = chosen[0].floor_std
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axis = figure.subplots()
    for i, model in enumerate(dict.fromkeys(n.model for n in chosen)):
        of_model = [n for n in chosen if n.model == model]
        value, low, high = (np.maximum([getattr(n, name) for n in of_model], clip) for name in ("value", "low", "high"))
        bars = np.stack([np.maximum(value - low, 0), np.maximum(high - value, 0)])
        style = {"linestyle": "--" if "oracle" in model else "-", "color": COLORS[i % len(COLORS)]}
        axis.errorbar([n.nfe for n in of_model], value, bars, marker="o", markersize=4, capsize=2, label=model, **style)
    axis.axhspan(clip / 2, clip, color="0.85", label="within one floor standard deviation")
    steps = sorted({n.nfe for n in chosen})
    axis.set(xscale="log", yscale="log", xlabel="steps (calls of the denoiser)", ylabel=_LABELS[metric])
    axis.set_xticks(steps, [str(n) for n in steps])
    axis.minorticks_off()
    axis.set_title(f"{chosen[0].draws} draws for each trained point, churn {churn:g}", fontsize=9)
    axis.legend(fontsize=8, frameon=False)
    return figure


_LABELS = {"mmd2": "MMD$^2$ (RBF, bandwidth 1, U)", "sliced_w2": "sliced W$_2$ (Euclidean, p = 2)"}


def spread(curves: dict[str, Spread]) -> Figure:
    """Learned and exact posterior standard deviation against time."""
    figure = Figure(figsize=(5.6, 3.8), layout="constrained")
    axis = figure.subplots()
    for i, (name, curve) in enumerate(curves.items()):
        for learned in curve.learned:
            label = name if learned is curve.learned[0] else None
            axis.plot(
                curve.t, learned, marker="o", markersize=3, linewidth=1, color=COLORS[i % len(COLORS)], label=label
            )
    axis.plot(curve.t, curve.exact, color="black", linestyle="--", label="exact")
    axis.set(xlabel="t", ylabel="posterior standard deviation of $x_0$ given $x_t$")
    axis.legend(fontsize=8, frameon=False)
    return figure


def training(rows: Sequence[dict[str, Any]]) -> Figure:
    """Loss, confinement and interaction of every job against the step."""
    names = ("loss", "confinement", "interaction")
    figure = Figure(figsize=(9.6, 3.0), layout="constrained")
    axes = figure.subplots(1, len(names))
    jobs = list(dict.fromkeys(row["job"] for row in rows))
    for axis, name in zip(axes, names, strict=True):
        for i, job in enumerate(jobs):
            points = [
                (row["step"], row[name]) for row in rows if row["job"] == job and (name == "loss" or row["interaction"])
            ]
            if points:
                axis.plot(*zip(*points, strict=True), linewidth=1, color=COLORS[i % len(COLORS)], label=job)
        axis.set(xlabel="step", title=name, yscale="log" if name == "loss" else "linear")
    axes[0].legend(fontsize=7, frameon=False)
    return figure
