"""Figures of the stored parts: time to quality, scaling curves."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.common.figures import COLORS

Part = dict[str, Any]


def quality(part: Part) -> Figure:
    """MMD^2 at 4 steps against seconds from process start: median over seeds, and the band of all of them."""
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axis = figure.subplots()
    for color, side in zip(COLORS, dict.fromkeys(curve["side"] for curve in part["curves"]), strict=False):
        seconds, values = of_side(part, side)
        at, values = np.median(seconds, 0), np.maximum(values, part["floor"])
        style = "--" if side.startswith("torch") else "-"
        axis.plot(at, np.median(values, 0), style, color=color, linewidth=1.4, label=side)
        axis.fill_between(at, values.min(0), values.max(0), color=color, alpha=0.12, linewidth=0)
    axis.axhline(part["target"], color="black", linewidth=0.8, linestyle=":", label=f"target {part['target']:g}")
    axis.set(xscale="log", yscale="log", xlabel="seconds from process start (imports and compilation included)")
    axis.set_ylabel(f"MMD$^2$ at {part['nfe']} steps (not below one floor std)")
    axis.set_xticks([2, 5, 10, 20, 50], ["2", "5", "10", "20", "50"])
    axis.xaxis.minorticks_off()
    figure.legend(fontsize=8, frameon=False, loc="outside lower center", ncols=3)
    return figure


def of_side(part: Part, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Seconds and MMD^2 [seeds, evaluations] of one side, as many evaluations as every seed has."""
    curves = [np.array(curve["points"]) for curve in part["curves"] if curve["side"] == side]
    together = np.stack([curve[: min(map(len, curves))] for curve in curves])
    return together[..., 0], together[..., 2]


def scaling(suites: dict[str, Part]) -> Figure:
    """A training step against batch and m, sampling against n: microseconds for one draw, so that flat is linear."""
    panels = []
    if "scaling" in suites:
        panels += [
            ("batch (m 8)", points(suites["scaling"], 0, 1, 8)),
            ("m (batch 512)", points(suites["scaling"], 1, 0, 512)),
        ]
    if "sampler" in suites:
        panels += [("samples n, 4 steps", points(suites["sampler"], 0, 1, 4))]
    figure = Figure(figsize=(4.0 * len(panels), 3.6), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (label, lines) in zip(axes, panels, strict=True):
        for i, (side, values) in enumerate(lines.items()):
            style = "--" if side.startswith("torch") else "-"
            axis.plot(
                *zip(*values, strict=True), style, marker="o", markersize=4, color=COLORS[i % len(COLORS)], label=side
            )
        axis.set(xscale="log", yscale="log", xlabel=label)
        ticks = sorted({x for values in lines.values() for x, _ in values})
        axis.set_xticks(ticks, [f"{x:,}" for x in ticks], fontsize=8)
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter("{x:g}")
        axis.tick_params(axis="y", which="both", labelsize=7)
        axis.xaxis.minorticks_off()
    axes[0].set_ylabel("microseconds for one draw")
    axes[0].legend(fontsize=8, frameon=False)
    return figure


def points(part: Part, along: int, other: int, fixed: int) -> dict[str, list[tuple[int, float]]]:
    """Lines (x, microseconds for one draw) for each side, where the other number in the name of the work is `fixed`.

    A training step makes batch x m draws; sampling, n in every step.
    """
    lines: dict[str, list[tuple[int, float]]] = {}
    for row in part["rows"]:
        numbers = [int(word) for word in row["work"].split()[1:]]
        if numbers[other] == fixed:
            each = 1e3 * row["ms"] / (numbers[0] * numbers[1])
            lines.setdefault(row["side"], []).append((numbers[along], each))
    return {side: sorted(values) for side, values in lines.items()}
