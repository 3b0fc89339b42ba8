"""What the page on conditions shows: its table, and the flows of every condition under every coupling."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure

from ddjax import judging, times
from ddjax.judging import Number
from experiments.common import figures, report, verdicts
from experiments.common.readings import LOWER
from experiments.common.runner import Trained
from experiments.conditional_ot import evaluate as conditions

HEADS = ["model", *(f"W_2, {way}" for way in conditions.WAYS), "adaptive calls", "floor"]


def measured(name: str, values: Sequence[float], floor: Sequence[float]) -> Number:
    """W_2 of a model in one way to sample, a value for each seed."""
    return judging.measured(name, "w2", 1, np.array(values)[:, None], (floor[0], floor[1]))


def rows_of(summary: dict[str, Any]) -> list[list[str]]:
    """Model, W_2 by way with the range over seeds, calls of the adaptive solver, floor."""
    lines = []
    for name, cell in summary["cells"].items():
        shown = [f"{np.median(cell[way]):.3f} [{min(cell[way]):.3f}, {max(cell[way]):.3f}]" for way in conditions.WAYS]
        mean, std = summary["floors"][name.split(", ")[0]]
        lines.append([name, *shown, f"{cell['adaptive calls']:.0f}", f"{mean:.3f} ± {std:.3f}"])
    return lines


def table(summary: dict[str, Any]) -> report.Table:
    """The table of the page, which says what is at the floor."""
    lines = []
    for (name, cell), (_, *told) in zip(summary["cells"].items(), rows_of(summary), strict=True):
        floor = summary["floors"][name.split(", ")[0]]
        ways = [
            report.floored(measured(name, cell[way], floor), text)
            for way, text in zip(conditions.WAYS, told, strict=False)
        ]
        lines.append([name, *ways, *told[len(ways) :]])
    return report.plain("W₂ (Euclidean ground cost, p = 2)", HEADS, lines, LOWER)


def verdict(summary: dict[str, Any], way: str = conditions.WAYS[0]) -> str:
    """The best coupling for each condition in one step, beside OT that does not look at the condition."""
    told = []
    for condition, floor in summary["floors"].items():
        of = {
            name.removeprefix(f"{condition}, "): cell
            for name, cell in summary["cells"].items()
            if name.startswith(condition)
        }
        numbers = [measured(name, cell[way], floor) for name, cell in of.items()]
        told.append(f"{condition}, {verdicts.by_steps(numbers, 'W₂', rival='OT')}")
    return ". ".join(told)


def picture(trained: Trained) -> Figure:
    """Flows of seed 0 in 20 Euler steps: where each sample starts, its track, and where it ends."""
    names = [recipe.name.split(", ") for recipe in trained.recipes]
    rows, columns = (list(dict.fromkeys(words)) for words in zip(*names, strict=True))
    figure = Figure(figsize=(10.0, 9.6), layout="constrained")
    axes = figure.subplots(len(rows), len(columns), sharex=True, sharey=True)
    told = conditions.data(jax.random.key(3), 600, noise=0.2)
    for axis in axes.flat:
        axis.set_axis_off()
        axis.set(xticks=[], yticks=[])
    for recipe, (condition, coupling) in zip(trained.recipes, names, strict=True):
        axis = axes[rows.index(condition), columns.index(coupling)]
        draw = jax.jit(recipe.sampler(path=True), static_argnums=2)
        cond = conditions.told_to(recipe, told)
        path = np.asarray(draw(trained.params[recipe.name][0], jax.random.key(5), 600, times.grid(20), cond))
        axis.plot(path[:, :150, 0], path[:, :150, 1], color="0.8", linewidth=0.4, zorder=0)
        axis.scatter(*path[0].T, s=2, color="0.5", linewidths=0)
        axis.scatter(*path[-1].T, s=4, c=np.array(figures.COLORS)[np.asarray(told.cond)], linewidths=0)
        axis.set_title(recipe.name, fontsize=9)
        axis.set_axis_on()
    return figure
