"""The tables and the figure of `experiments.conditioning`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ddjax import judging
from ddjax.judging import Number
from experiments.common import report, verdicts
from experiments.common.conditioning import PLUGGED, RIGHT, STEPS, Judged
from experiments.common.figures import COLORS, steps_of
from experiments.common.readings import HIGHER, LOWER
from experiments.common.runner import Findings

HEADS = ("given y by", *(steps_of(n) for n in STEPS))
SIZES = ("draws", "t = 1", "t = 0.75", "t = 0.5", "t = 0.25")


def lines(found: Mapping[str, Mapping[Any, Any]], part: str) -> list[list[str]]:
    """A row of words for each way, of its shares or its distances, from numbers or from the same in JSON."""
    rows = []
    for name, by_steps in found.items():
        of = [Judged(*one) for one in by_steps.values()]
        told = [f"{one.share:.3f} ± {one.error:.3f}" if part == "share" else f"{one.w1:.3f}" for one in of]
        rows.append([name, *told])
    return rows


def sizes(effective: Mapping[Any, Mapping[Any, float]]) -> list[list[str]]:
    """A row for each number of draws."""
    return [[str(m), *(f"{value:.1f}" for value in by_step.values())] for m, by_step in effective.items()]


def figure(found: dict[str, dict[int, Judged]], floor: tuple[float, float]) -> Figure:
    """W_1 of every way against the number of steps, and the floor."""
    figure = Figure(figsize=(7.4, 4.0), layout="constrained")
    axis = figure.subplots()
    for i, (name, by_steps) in enumerate(found.items()):
        style = {"color": COLORS[i % len(COLORS)], "linestyle": "--" if name.startswith("particles") else "-"}
        axis.plot(STEPS, [one.w1 for one in by_steps.values()], marker="o", markersize=4, label=name, **style)
    axis.axhspan(floor[0] - floor[1], floor[0] + floor[1], color="0.85", label="two exact samples")
    axis.set(xscale="log", yscale="log", xlabel="steps", ylabel="W$_1$ along the measured coordinate")
    axis.set_xticks(STEPS, [str(n) for n in STEPS])
    axis.minorticks_off()
    figure.legend(fontsize=8, frameon=False, loc="outside right center")
    return figure


def verdict(found: Mapping[str, Mapping[int, Judged]], floor: tuple[float, float]) -> str:
    """How near the floor the best way comes in four steps, beside the mean plugged in."""
    numbers = [measured(name, n, one, floor) for name, of in found.items() for n, one in of.items()]
    return verdicts.by_steps(numbers, "W₁", rival=PLUGGED)


def measured(name: str, steps: int, one: Judged, floor: tuple[float, float]) -> Number:
    """W_1 of a way to sample."""
    return judging.measured(name, "w1", steps, np.array([[one.w1]]), floor)


def distances(found: Mapping[str, Mapping[int, Judged]], floor: tuple[float, float]) -> list[list[str | report.Cell]]:
    """The rows of W_1, which say what is at the floor."""
    return [
        [name, *(report.floored(measured(name, n, one, floor), f"{one.w1:.3f}") for n, one in of.items())]
        for name, of in found.items()
    ]


def findings(
    found: dict[str, dict[int, Judged]], floor: tuple[float, float], effective: dict[int, dict[int, float]], n: int
) -> Findings:
    """All that the runner writes and prints."""
    summary = {
        "right": RIGHT,
        "floor": list(floor),
        "ways": {name: {str(k): list(one) for k, one in of.items()} for name, of in found.items()},
        "effective": {str(m): {str(k): size for k, size in of.items()} for m, of in effective.items()},
    }
    return Findings(
        numbers=[],
        titles={},
        interval="",
        summary=summary,
        figures={"conditioning.png": (figure(found, floor), "Distance to the exact law given y, by number of steps.")},
        verdict=verdict(found, floor),
        notes=[f"exact share {RIGHT:.3f}; floor of W₁ {floor[0]:.3f} ± {floor[1]:.3f}"],
        tables=[
            report.plain(f"W₁ along the measured coordinate, n = {n:,}", HEADS, distances(found, floor), LOWER),
            report.plain(
                f"Share of the component at y, exact {RIGHT:.3f}",
                HEADS,
                lines(found, "share"),
                "closer to the exact share is better",
            ),
            report.plain("Median effective size along four steps", SIZES, sizes(effective), HIGHER),
        ],
    )
