"""What the page on gaps in features says and shows: distances by checkpoint and by steps, what they see, and at which blur."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Array
from matplotlib.figure import Figure

from ddjax import recipes, runs
from ddjax.judging import Number
from ddjax.runs import classifiers
from experiments.common import figures, readings, report
from experiments.common.images import sizes
from experiments.common.images.report import slug
from experiments.common.runner import Findings, Trained
from experiments.ot_loss import evaluate as gaps
from experiments.ot_loss.evaluate import Blurred, Curve, Space

TITLES = {
    "ratio": "Transport to held-out images over that of training images (1: as good as data)",
    "transport test": "Transport (Sinkhorn divergence, cost |x - y|²/2) to held-out images, features",
    "transport train": "Transport to training images (far below the row above: copies), features",
    "frechet test": "Fréchet distance to held-out images, features",
    "mmd test": "MMD² to held-out images, features, Gaussian kernel of the median distance, U-statistic",
}
SHOWN = 16


def told(classifier: classifiers.Trained, where: Space) -> str:
    """The space that everything is measured in."""
    return (
        f"features of a classifier with accuracy {classifier.accuracy:.4f} on the held-out images; {where.n} images in every "
        f"set; median distance {where.unit:.3g}, measured at blur {where.blur:.3g}"
    )


def while_training(folder: runs.Run, recipe: recipes.Recipe, x_0: Array) -> None:
    """Samples at the last checkpoint, in a picture that is replaced as training goes on."""
    picture = figures.grid({recipe.name: np.asarray(x_0[:SHOWN])})
    figures.save(picture, folder.path / f"while-training-{slug(recipe)}.png")


def findings(
    trained: Trained,
    numbers: Sequence[Number],
    where: Space,
    curves: dict[str, Curve],
    studied: Sequence[Blurred],
    samples: dict[str, Array],
    held_out: Array,
) -> Findings:
    """Tables, figures and sentences."""
    seen, floors, fits = gaps.analysed(curves, where), gaps.floors(where), fitted(trained)
    watched = runs.read_metrics(trained.folder.path, "watched.jsonl")
    blur = gaps.recommended(studied, curves)
    advice = (
        "no blur ranked every curve rightly" if blur is None else f"recommended blur: {blur:g} of the median distance"
    )
    halves = f"between two halves of the training images {floors['transport train']:.3g}"
    sets = f"transport of training to held-out images {floors['transport test']:.3g}, {halves}"
    caption = (
        "The gap at every checkpoint, median over seeds; dotted: training images, dashed: two halves of them. Grey: MMD² not told "
        "from that between real images."
    )
    rows = {name: np.asarray(x[:SHOWN]) for name, x in samples.items()} | {"held out": np.asarray(held_out[:SHOWN])}
    shown = {
        "gap.png": (by_checkpoint(trained, watched, floors), caption),
        "samples.png": (figures.grid(rows), "Samples of the first seed, last row held-out images."),
        "curves.png": (along(curves, seen), "What each distance sees, over its largest value."),
    }
    tables = [fit_table(fits)] * bool(fits) + [correlations(curves, seen)]
    if studied:
        limit = "Transport at every blur; dashed: half of the squared difference of means."
        shown["blur.png"] = by_blur(studied, curves), limit
        tables.append(blur_table(studied, curves, where))
    summary = {"floors": floors, "unit": where.unit, "n": where.n, "analyses": seen, "fits": fits}
    return Findings(
        numbers,
        TITLES,
        "value is the median over seeds; low and high are the smallest and largest seed",
        summary | {"recommended_blur": blur, "blurs": [row._asdict() for row in studied]},
        shown,
        notes=[sets, *([advice] if studied else [])],
        tables=tables,
        warnings=sizes.too_few(where.n, {"features": where.test.shape[1]}, "images in each set", shares=False),
    )


def correlations(curves: dict[str, Curve], seen: dict[str, dict[str, list[float]]]) -> report.Table:
    """Spearman's correlation of every distance with what was done to the images."""
    told = {-1: "-1", 0: "none", 1: "+1"}
    lines = [
        [
            name,
            told[curve.sign],
            *(f"{gaps.spearman(curve.levels, seen[name][m]):+.3f}" for m in gaps.METRICS),
        ]
        for name, curve in curves.items()
    ]
    return report.plain(
        "Rank correlation of each distance with what was done to real images",
        ["curve", "expected", *gaps.METRICS],
        lines,
        better="closer to the expected one is better",
    )


def blur_table(studied: Sequence[Blurred], curves: dict[str, Curve], where: Space) -> report.Table:
    """What each blur sees and costs."""
    heads = ["blur / median distance", "blur", *curves, "by means alone", "ms a call", "converged"]
    lines = [
        [f"{row.blur:g}", f"{row.blur * where.unit:.3g}", *(f"{row.correlations[name]:+.3f}" for name in curves),
         f"{100 * row.by_means:.0f} %", f"{1e3 * row.seconds:.1f}", f"{100 * row.converged:.0f} %"]
        for row in studied
    ]  # fmt: skip
    return report.plain(
        f"Blur study, median distance {where.unit:.3g}: rank correlations, and what they cost",
        heads,
        lines,
        "correlation: nearer -1 or +1; milliseconds: lower",
    )


def fitted(trained: Trained) -> dict[str, dict[str, float]]:
    """Of every model with transport in its loss: the last logged numbers, and the largest spike; medians over seeds."""
    logged, found = runs.read_metrics(trained.folder.path), {}
    for recipe in trained.recipes:
        jobs = [recipes.job(recipe.name, seed) for seed in range(len(trained.params[recipe.name]))]
        of_seeds = [[row for row in logged if row["job"] == job and "transport" in row] for job in jobs]
        if all(of_seeds):
            ends = {name: [rows[-1][name] for rows in of_seeds] for name in ("regression", "transport", "weight")}
            ends["spike"] = [gaps.spike([row["transport"] for row in rows]) for rows in of_seeds]
            ends["converged"] = [np.mean([row["converged"] for row in rows]) for rows in of_seeds]
            found[recipe.name] = {name: float(np.median(values)) for name, values in ends.items()}
            found[recipe.name]["spike"] = float(max(ends["spike"]))
    return found


def fit_table(fits: dict[str, dict[str, float]]) -> report.Table:
    """Loss, transport and weight at the end of training; a spike above 3 and a solver that did not converge are marked."""
    lines = [
        [name, f"{fit['regression']:.3g}", f"{fit['transport']:.3g}", f"{fit['weight']:.3g}",
         f"{fit['spike']:.2f}{' !' if fit['spike'] > 3 else ''}",
         f"{100 * fit['converged']:.0f} %{'' if fit['converged'] == 1 else ' !'}"]
        for name, fit in fits.items()
    ]  # fmt: skip
    heads = ["model", "loss without transport", "transport", "weight", "largest over running median", "converged"]
    return report.plain(
        "Training with transport, means over the last 100 steps (!: a spike above 3, or not converged)",
        heads,
        lines,
        readings.LOWER,
    )


def by_checkpoint(trained: Trained, watched: Sequence[dict[str, Any]], floors: dict[str, float]) -> Figure:
    """Three distances to held-out images against the training step, median over seeds.

    MMD^2 is unbiased: what lies below its size between sets of real images is drawn on that line, as not told from 0.
    """
    noise, rows = max(abs(floors[f"mmd {which}"]) for which in ("test", "train")), []
    for recipe in trained.recipes:
        jobs = {recipes.job(recipe.name, seed) for seed in range(len(trained.params[recipe.name]))}
        of_model = [row for row in watched if row["job"] in jobs]
        for step in sorted({row["step"] for row in of_model}):
            at = [row for row in of_model if row["step"] == step]
            medians = {f"{m} test": float(np.median([row[f"{m} test"] for row in at])) for m in gaps.METRICS}
            medians["mmd test"] = max(medians["mmd test"], noise)
            rows.append({"job": recipe.name.split(", ")[0], "step": step, **medians})  # stages are one line

    def finish(axis: Any, name: str) -> None:
        if name.startswith("mmd"):
            axis.axhspan(noise / 2, noise, color="0.85")
        else:
            axis.axhline(floors[name], color="0.3", linestyle=":")
            axis.axhline(floors[name.replace("test", "train")], color="0.6", linestyle="--")
        axis.set_yscale("log")
        axis.autoscale()
        figures.readable(axis.yaxis)

    return figures.curves(rows, {f"{m} test": f"{m}, to held-out images" for m in gaps.METRICS}, finish)


def along(curves: dict[str, Curve], seen: dict[str, dict[str, list[float]]]) -> Figure:
    """The three distances along every curve, each over its largest value."""
    figure = Figure(figsize=(3.2 * len(curves), 3.0), layout="constrained")
    for axis, (name, curve) in zip(figure.subplots(1, len(curves), sharey=True), curves.items(), strict=True):
        for color, metric in zip(figures.COLORS, gaps.METRICS, strict=False):
            values = np.array(seen[name][metric])
            axis.plot(curve.levels, values / np.abs(values).max(), marker=".", color=color, label=metric)
        axis.set_title(name.replace(", ", ",\n"), fontsize=8)
        axis.set_xlabel("classes" if "coverage" in name else "share" if "overfitting" in name else "noise")
    figure.legend(*axis.get_legend_handles_labels(), fontsize=7, frameon=False, loc="outside lower center", ncols=3)
    return figure


def by_blur(studied: Sequence[Blurred], curves: dict[str, Curve]) -> Figure:
    """The largest divergence of every curve against the blur, and the limit that means alone give."""
    figure = Figure(figsize=(5.6, 3.8), layout="constrained")
    axis = figure.subplots()
    for color, name in zip(figures.COLORS, curves, strict=False):
        axis.plot(
            [row.blur for row in studied],
            [row.divergence[name] for row in studied],
            marker=".",
            color=color,
            label=name,
        )
        axis.axhline(studied[-1].limits[name], color=color, linestyle="--", linewidth=0.8)
    axis.set(xscale="log", yscale="log", xlabel="blur / median distance", ylabel="Sinkhorn divergence")
    for ticks in (axis.xaxis, axis.yaxis):
        figures.readable(ticks)
    axis.legend(fontsize=7, frameon=False)
    return figure
