"""What the inflation page says and shows: samples, the way there and back, latents, and participation ratios."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ddjax import runs
from ddjax.judging import Number
from ddjax.recipes import Inflation
from experiments.common import figures, report
from experiments.common.readings import HIGHER, LOWER
from experiments.common.runner import Findings, Trained
from experiments.inflation import evaluate as judges
from experiments.inflation.denoising_errors import POINTS
from experiments.inflation.evaluate import WAYS, Judged

SHOWN = 3000


def findings(
    trained: Trained,
    numbers: Sequence[Number],
    judged: dict[str, list[Judged]],
    distances: dict[str, Any],
    floors: dict[str, Any],
) -> Findings:
    """The page; notes say which of the expectations are met."""
    flows = [recipe for recipe in trained.recipes if isinstance(recipe, Inflation)]
    d = len(flows[0].eigenbasis().variances)
    pictures = {
        "samples.png": (samples(judged), "Data, latents in units of the prior, and what comes back; seed 0."),
        "coverage.png": (
            coverage(judged, d),
            "Share of latents within each radius less that of the chi law; every seed.",
        ),
        "correlations.png": (
            correlations(judged),
            "Correlations of what the denoiser says, and of its errors, at 16 times from data to noise; seed 0. "
            "Innovations of the exact mean are uncorrelated.",
        ),
        "participation.png": (participation(flows), "Participation ratio of the law at each time."),
        "training.png": (
            figures.training(runs.read_metrics(trained.folder.path)),
            "Training curves: the network's own error, 1 for a network of 0.",
        ),
    }
    summary = {
        "judged": {
            name: [
                {
                    "full": of.full,
                    "kept": of.kept,
                    "departures": {way: of.departures[way].round(3).tolist() for way in WAYS},
                    "likelihood": of.likelihood._asdict(),
                    "correlated": {what: largest(matrix) for what, matrix in of.correlations.items()},
                }
                for of in seeds
            ]
            for name, seeds in judged.items()
        },
        "floors": {name: list(value) for name, value in floors.items()},
    }
    return Findings(
        numbers,
        {name: metric.title for name, metric in distances.items()},
        "value is the median over seeds; low and high are the smallest and largest seed",
        summary,
        pictures,
        notes(numbers, judged),
        [there_and_back(judged), latents(judged, d), likelihoods(judged)],
    )


def notes(numbers: Sequence[Number], judged: dict[str, list[Judged]]) -> list[str]:
    """Each expectation and the worst of what was found."""
    made = [n for n in numbers if n.model in judged and n.nfe == max(n.nfe for n in numbers)]
    worst = max(made, key=lambda n: n.value)
    error = max((of.full, name) for name, seeds in judged.items() for of in seeds)
    off = max(
        (float(np.abs(of.departures[way]).max()), f"{name}, {way}")
        for name, seeds in judged.items()
        for of in seeds
        for way in WAYS
    )
    told = [
        (f"samples at most twice the floor: the worst is {worst.value / worst.floor:.2f} times it ({worst.model})",
         worst.value <= 2 * worst.floor),
        (f"the way there and back below 1e-2: the worst is {error[0]:.1e} ({error[1]})", error[0] < 1e-2),
        (f"latents within 2 points of the chi law: the worst is off by {off[0]:.2f} ({off[1]})", off[0] <= 2),
    ]  # fmt: skip
    return [f"{'met' if met else 'MISSED'}: {line}" for line, met in told]


def there_and_back(judged: dict[str, list[Judged]]) -> report.Table:
    """Mean squared errors, median and range over seeds."""

    def told(values: list[float | None]) -> str:
        known = [value for value in values if value is not None]
        return f"{np.median(known):.2g} [{min(known):.2g}, {max(known):.2g}]" if known else ""

    lines = [[name, told([of.full for of in seeds]), told([of.kept for of in seeds])] for name, seeds in judged.items()]
    heads = ["model", "all latents", "the kept latents alone"]
    return report.plain("Mean squared error of the way there and back, a coordinate", heads, lines, LOWER)


def latents(judged: dict[str, list[Judged]], d: int) -> report.Table:
    """Departures from the chi law in points, median over seeds and their range."""
    lines = []
    for name, seeds in judged.items():
        for way in WAYS:
            values = np.array([of.departures[way] for of in seeds])
            parts = zip(np.median(values, 0), values.min(0), values.max(0), strict=True)
            lines.append([name, way, *(f"{middle:+.2f} [{low:+.2f}, {high:+.2f}]" for middle, low, high in parts)])
    heads = ["model", "latents of", *(f"r = {r:.3g}" for r in judges.radii(d))]
    return report.plain(
        "Share of latents within a radius less that of the chi law, points", heads, lines, "closer to 0 is better"
    )


def largest(matrix: np.ndarray) -> float:
    """The largest correlation off the diagonal, in size."""
    return round(float(np.abs(matrix[~np.eye(len(matrix), dtype=bool)]).max()), 4)


def likelihoods(judged: dict[str, list[Judged]]) -> report.Table:
    """Mean log density of fresh data: median and range over seeds, beside PCA's Gaussian."""
    lines = []
    for name, seeds in judged.items():
        means = [of.likelihood.mean for of in seeds]
        told = f"{np.median(means):.3f} [{min(means):.3f}, {max(means):.3f}]"
        lines.append([name, told, f"{seeds[0].likelihood.error:.3f}", f"{seeds[0].likelihood.gaussian:.3f}"])
    heads = ["model", "log-likelihood", "standard error", "PCA's Gaussian"]
    return report.plain(f"Mean log-likelihood of {POINTS['likelihood']} points, nats", heads, lines, HIGHER)


def correlations(judged: dict[str, list[Judged]]) -> Figure:
    """The matrices over times of every model, seed 0."""
    rows = {name: seeds[0].correlations for name, seeds in judged.items()}
    titles = list(next(iter(rows.values())))
    figure = Figure(figsize=(2.3 * len(titles) + 0.6, 2.2 * len(rows) + 0.3), layout="constrained")
    axes = figure.subplots(len(rows), len(titles), squeeze=False)
    for row, (name, matrices) in zip(axes, rows.items(), strict=True):
        for axis, title in zip(row, titles, strict=True):
            shown = axis.imshow(matrices[title], vmin=-1, vmax=1, cmap="RdBu_r")
            axis.set(xticks=[], yticks=[])
        row[0].set_ylabel(name, fontsize=8)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=8)
    figure.colorbar(shown, ax=axes, shrink=0.8, label="correlation")
    return figure


def samples(judged: dict[str, list[Judged]]) -> Figure:
    """Points as clouds, a row for each model; images as rows."""
    first = {name: seeds[0].clouds for name, seeds in judged.items()}
    if next(iter(first.values()))["data"].ndim > 2:
        rows = {f"{name}: {what}": x[:12] for name, clouds in first.items() for what, x in clouds.items() if x.ndim > 2}
        return figures.grid(rows)
    wide = max(first.values(), key=len)
    titles = [title if "back from" not in title else "kept alone" for title in wide]
    rows = {name: [x[:SHOWN] for x in clouds.values()] for name, clouds in first.items()}
    rows = {name: [*of, *[np.zeros((0, 2))] * (len(titles) - len(of))] for name, of in rows.items()}
    return figures.clouds(rows, titles, (np.full(2, -3.2), np.full(2, 3.2)))


def coverage(judged: dict[str, list[Judged]], d: int) -> Figure:
    """Departures by radius, an axis for each way."""
    figure = Figure(figsize=(3.4 * len(WAYS), 3.2), layout="constrained")
    axes = figure.subplots(1, len(WAYS), sharey=True, squeeze=False)[0]
    for axis, way in zip(axes, WAYS, strict=True):
        axis.axhspan(-2, 2, color="0.9")
        for color, (name, seeds) in zip(figures.COLORS, judged.items(), strict=False):
            for i, of in enumerate(seeds):
                axis.plot(judges.radii(d), of.departures[way], color=color, marker=".", label=None if i else name)
        axis.set(title=way, xlabel="radius")
    axes[0].set_ylabel("points beyond the chi law")
    axes[0].legend(fontsize=7, frameon=False)
    return figure


def participation(found: Sequence[Inflation]) -> Figure:
    """PR(t) of every model in the data's own units."""
    figure = Figure(figsize=(4.6, 3.2), layout="constrained")
    axis, times = figure.subplots(), np.linspace(0, 1, 65)
    for color, recipe in zip(figures.COLORS, found, strict=False):
        axis.plot(times, judges.participation(recipe, times).unscaled, color=color, label=recipe.name)
    axis.set(xlabel="t", ylabel="participation ratio")
    axis.legend(fontsize=7, frameon=False)
    return figure
