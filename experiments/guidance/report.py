"""Tables and figures of `experiments.guidance`: accuracy against diversity, and samples by weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ddjax.judging import markdown
from experiments.common import figures, report
from experiments.common.runner import Findings
from experiments.guidance.evaluate import ONE, How, Judged, Row, drawn

MEASURES = {
    "accuracy": ("Class accuracy", "{:.3f}", "higher is better"),
    "diversity": ("Diversity within a class, of the held-out images' 1", "{:.2f}", "closer to 1 is better"),
    "frechet": ("Fréchet distance, classifier features", "{:.3g}", "lower is better"),
    "recall": ("Recall, classifier features, k = 5", "{:.2f}", "higher is better"),
}
SHOWN = 10  # samples in a row of the figure


def lines(rows: Sequence[Row], measure: str) -> list[list[str]]:
    """A row for each kind and weight: its value of one measure at each number of steps."""
    form, cells = MEASURES[measure][1], {}
    for row in rows:
        told = form.format(getattr(row.judged, measure))
        cells.setdefault((f"{row.how.weight:g}", "" if row.how.weight == 1 else row.kind), []).append(told)
    return [[*names, *values] for names, values in cells.items()]


def heads(rows: Sequence[Row]) -> list[str]:
    """The first row of a table."""
    return ["w", "kind", *map(figures.steps_of, sorted({row.how.steps for row in rows}))]


def table(rows: Sequence[Row], floor: Judged, measure: str) -> str:
    """One measure as a Markdown table with its floor."""
    told = MEASURES[measure][1].format(getattr(floor, measure))
    return f"{markdown(heads(rows), lines(rows, measure))}\n\nfloor {told}"


def verdict(rows: Sequence[Row], floor: Judged) -> str:
    """What the most accurate weight costs in diversity, at the most steps."""
    most = max(row.how.steps for row in rows)
    last = [row for row in rows if row.how.steps == most and row.kind == ONE]
    best = max(last, key=lambda row: row.judged.accuracy)
    told = [
        f"w = {row.how.weight:g} has class accuracy {row.judged.accuracy:.3f} and diversity {row.judged.diversity:.2f}"
        for row in dict.fromkeys((best, last[0]))
    ]
    real = f"training images {floor.accuracy:.3f} and {floor.diversity:.2f}"
    return f"in {figures.steps_of(most)} {', '.join(told)} ({real})"


def picture(rows: Sequence[Row], floor: Judged) -> Figure:
    """Accuracy against diversity: a line through the weights for each kind of guidance and number of steps."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axis = figure.subplots()
    for i, n in enumerate(sorted({row.how.steps for row in rows})):
        for kind, style in zip(dict.fromkeys(row.kind for row in rows), figures.STYLES, strict=True):
            of = [row.judged for row in rows if row.how.steps == n and (row.kind == kind or row.how.weight == 1)]
            way = {"linestyle": style, "color": figures.COLORS[i], "label": f"{figures.steps_of(n)}, {kind}"}
            axis.plot([j.diversity for j in of], [j.accuracy for j in of], marker="o", markersize=3, **way)
    axis.plot(floor.diversity, floor.accuracy, "k*", label="training images")
    axis.set(xlabel="diversity within a class", ylabel="class accuracy")
    axis.legend(fontsize=7, frameon=False)
    return figure


def shown(trained: Any, weights: Sequence[float], steps: Sequence[int]) -> dict[str, np.ndarray]:
    """Samples of the first classes in turns by weight and number of steps, of the same noise."""
    labels = np.arange(SHOWN, dtype=np.int32) % trained.recipe.classes
    return {
        f"w = {w:g}, {figures.steps_of(n)}": np.asarray(drawn(trained, How(w, n), labels))
        for n in steps
        for w in weights
    }


def findings(rows: Sequence[Row], floor: Judged, samples: dict[str, np.ndarray], trained: Any) -> Findings:
    """All that the runner writes and prints."""
    told = [{"kind": row.kind} | row.how._asdict() | row.judged._asdict() for row in rows]
    made = {
        "guidance.png": (
            picture(rows, floor),
            "Class accuracy against diversity, w from its least to its largest along each line.",
        ),
        "guided.png": (
            figures.grid(samples),
            "Samples by weight and number of steps, classes in turns, of the same noise.",
        ),
    }
    tables = [
        report.plain(
            f"{title} (training images: {form.format(getattr(floor, name))})", heads(rows), lines(rows, name), better
        )
        for name, (title, form, better) in MEASURES.items()
    ]
    return Findings(
        numbers=[],
        titles={},
        interval="",
        summary={"model": trained.job, "rows": told, "floor": floor._asdict()},
        figures=made,
        notes=[
            "Diversity: trace of the covariance of a class's features over that of the held-out images, mean over classes."
        ],
        tables=tables,
        verdict=verdict(rows, floor),
    )
