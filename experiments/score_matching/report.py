"""The table and the figure of `experiments.score_matching`."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.common import report
from experiments.common.figures import COLORS
from experiments.common.readings import LOWER
from experiments.common.runner import Findings
from experiments.score_matching.evaluate import LEVEL, LEVELS, Estimate

HEADS = (
    "objective", "bias", "std", "slope std", "ms", *(f"t = {t:g}" for t in LEVELS),
)  # fmt: skip
NOTE = (
    f"bias (with its standard error), std and slope std: at t = {LEVEL:g}, for a score that is wrong on purpose; std of one "
    "example's value and of its derivative along the score. ms: a loss with its gradient, the quickest round. Then "
    "E|s - s*|²/E|s*|² of the trained networks by noise level, means over seeds."
)


def lines(estimates: dict[str, Any], costs: dict[str, float], errors: dict[str, Any]) -> list[list[str]]:
    """A row of words for each objective, from numbers or from the same in JSON."""
    rows = []
    for name, by_seed in errors.items():
        told = ["", "", ""]
        if name in estimates:
            row = Estimate(*estimates[name])
            told = [f"{row.bias:+.3f} ± {row.error:.3f}", f"{row.std:.2f}", f"{row.slope_std:.2f}"]
        rows.append([name, *told, f"{costs[name]:.2f}", *(f"{value:.4f}" for value in np.mean(by_seed, 0))])
    return rows


def by_level(errors: dict[str, np.ndarray]) -> Figure:
    """Score error of every objective against the time, with the range over seeds."""
    figure = Figure(figsize=(6.8, 4.4), layout="constrained")
    axis = figure.subplots()
    for i, (name, by_seed) in enumerate(errors.items()):
        style = {"color": COLORS[i % len(COLORS)], "linestyle": "-" if i < len(COLORS) else "--"}
        axis.plot(LEVELS, np.mean(by_seed, 0), marker="o", markersize=3, linewidth=1.2, label=name, **style)
        axis.fill_between(LEVELS, np.min(by_seed, 0), np.max(by_seed, 0), alpha=0.15, color=style["color"], linewidth=0)
    axis.set(xscale="log", yscale="log", xlabel="t", ylabel="E|s - s*|$^2$ / E|s*|$^2$")
    axis.set_xticks(LEVELS, [f"{t:g}" for t in LEVELS])
    axis.minorticks_off()
    axis.legend(fontsize=7, frameon=False)
    return figure


def verdict(errors: dict[str, np.ndarray]) -> str:
    """The objectives with the least and the largest error at the middle level."""
    at = {name: float(np.mean(by_seed, 0)[LEVELS.index(LEVEL)]) for name, by_seed in errors.items()}
    best, worst = min(at, key=at.get), max(at, key=at.get)
    return f"Score error at t = {LEVEL:g}: least by {best}, {at[best]:.2g}; largest by {worst}, {at[worst]:.2g}"


def findings(estimates: dict[str, Estimate], costs: dict[str, float], errors: dict[str, np.ndarray]) -> Findings:
    """All that the runner writes and prints."""
    table = report.plain("Score matching on a skewed mixture in 3-D", HEADS, lines(estimates, costs, errors), LOWER)
    summary = {
        "levels": LEVELS,
        "estimates": {name: list(row) for name, row in estimates.items()},
        "milliseconds": costs,
        "score_errors": {name: by_seed.tolist() for name, by_seed in errors.items()},
    }
    caption = "Score error against the time, by objective; bands are ranges over seeds."
    return Findings(
        numbers=[],
        titles={},
        interval="standard errors and ranges over seeds",
        summary=summary,
        figures={"score_errors.png": (by_level(errors), caption)},
        verdict=verdict(errors),
        notes=[NOTE],
        tables=[table],
    )
