"""Figures of an image run."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.pages.figures import COLORS


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


def by_steps(numbers: Sequence[Any], metric: str, label: str) -> Figure:
    """One number against the number of steps, log-log, with the range over seeds and the floor."""
    chosen = [number for number in numbers if number.metric == metric]
    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    axis = figure.subplots()
    for color, model in zip(COLORS, dict.fromkeys(number.model for number in chosen), strict=False):
        of_model = [number for number in chosen if number.model == model]
        value, low, high = (np.array([getattr(n, name) for n in of_model]) for name in ("value", "low", "high"))
        bars = np.maximum(np.stack([value - low, high - value]), 0)
        axis.errorbar(
            [n.nfe for n in of_model], value, bars, marker="o", markersize=4, capsize=2, label=model, color=color
        )
    axis.axhline(chosen[0].floor, color="0.5", linestyle="--", label="floor: training against held-out images")
    steps = sorted({number.nfe for number in chosen})
    axis.set(xscale="log", yscale="log", xlabel="steps (calls of the denoiser)", ylabel=label)
    axis.set_xticks(steps, [str(n) for n in steps])
    axis.minorticks_off()
    axis.legend(fontsize=8, frameon=False)
    return figure


def losses(rows: Sequence[dict[str, Any]]) -> Figure:
    """The loss of each model's first seed against the step."""
    figure = Figure(figsize=(6.0, 3.2), layout="constrained")
    axis = figure.subplots()
    jobs = [job for job in dict.fromkeys(row["job"] for row in rows) if job.endswith("seed0")]
    for color, job in zip(COLORS, jobs, strict=False):
        axis.plot(*zip(*[(r["step"], r["loss"]) for r in rows if r["job"] == job], strict=True), color=color, label=job)
    axis.set(xlabel="step", ylabel="loss", yscale="log")
    axis.legend(fontsize=8, frameon=False)
    return figure
