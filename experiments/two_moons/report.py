"""What the two-moons page shows: two tables, and figures of training, of samples and of flows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ddjax import recipes, runs, times
from ddjax.judging import Metric, Number
from ddjax.metrics import Floor
from ddjax.types import Batch
from experiments.common import figures, readings, report
from experiments.common.runner import Findings, Trained
from experiments.two_moons import evaluate as moons
from experiments.two_moons import flows as flow_figures


class Cloud(NamedTuple):
    """Points [n, 2] and their classes: those that were told, else the nearer moon."""

    points: np.ndarray
    classes: np.ndarray


def shown(drawn: Batch, n: int) -> Cloud:
    """The first n of a sample."""
    points = np.asarray(drawn.x_0)[:n]
    return Cloud(points, flow_figures.nearer_moon(points) if drawn.cond is None else np.asarray(drawn.cond)[:n])


class Shown(NamedTuple):
    """What the figures show of seed 0: points by way to sample for each number of steps, and tracks of flows."""

    clouds: dict[str, list[Cloud]]
    tracks: dict[str, np.ndarray]
    nfe: Sequence[int]


def findings(
    trained: Trained,
    numbers: Sequence[Number],
    floors: dict[str, Floor],
    shapes: dict[str, dict[str, float]],
    shown: Shown,
    exact: str,
) -> Findings:
    """The page: distances with their floors, final losses, shapes of flows. `exact` names the row of the exact sampler."""
    losses = final_losses(trained)
    told = ", ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
    return Findings(
        numbers,
        {name: metric.title for name, metric in (moons.few_step() | moons.per_class()).items()},
        "value is the median over seeds; low and high are the smallest and largest seed",
        {
            "floors": {name: list(floor) for name, floor in floors.items()},
            "final_loss": losses,
            "straightness": shapes,
        },
        drawn(trained.folder.path, numbers, floors, shown),
        notes=[
            "The real set is balanced, half of its points on each moon. A model's samples are not: the row "
            f"{exact!r} shows what that alone costs.",
            f"loss, mean of the last 500 steps: {told}",
        ],
        tables=[of_the_end(numbers, moons.at_the_end()), of_shapes(losses, shapes)],
    )


def final_losses(trained: Trained) -> dict[str, float]:
    """Mean loss of each model over the last 500 steps and the seeds."""
    rows, losses = runs.read_metrics(trained.folder.path), {}
    for recipe in trained.recipes:
        jobs = [recipes.job(recipe.name, seed) for seed in range(len(trained.params[recipe.name]))]
        last = [row["loss"] for row in rows if row["job"] in jobs and row["step"] > recipe.optimizer.steps - 500]
        losses[recipe.name] = float(np.mean(last))
    return losses


def of_the_end(numbers: Sequence[Number], chosen: dict[str, Metric]) -> report.Table:
    """What is measured at the largest number of steps alone, models by metrics, and the floors."""
    of = [n for n in numbers if n.metric in chosen]
    values = {(n.model, n.metric): report.floored(n, f"{n.value:.3g} [{n.low:.3g}, {n.high:.3g}]") for n in of}
    lines = [[model, *(values[model, name] for name in chosen)] for model in dict.fromkeys(n.model for n in of)]
    floors = {n.metric: f"{n.floor:.3g} ± {n.floor_std:.1g}" for n in of}
    ways = [f"{metric.title}: {readings.better(name).removesuffix(' is better')}" for name, metric in chosen.items()]
    heads = ["model", *ways]
    return report.plain(f"At {of[0].nfe} steps", heads, [*lines, ["floor", *(floors[name] for name in chosen)]])


def of_shapes(losses: dict[str, float], shapes: dict[str, dict[str, float]]) -> report.Table:
    """Losses and straightness."""
    lines = [[f"loss of {name}", f"{loss:.3f}", ""] for name, loss in losses.items()]
    for name, shape in shapes.items():
        lines.append([f"flow of {name}", f"{shape['straightness']:.3f}", f"{shape['length_over_distance']:.3f}"])
    heads = ["", "loss (last 500 steps) or straightness (0: straight)", "length / distance"]
    return report.plain("Losses and straightness", heads, lines)


def drawn(run: Path, numbers: Sequence[Number], floors: dict[str, Floor], shown: Shown) -> dict[str, tuple[Any, str]]:
    """Metrics and losses over training, samples by steps, and the way from noise to data."""
    grid = np.asarray(times.grid(len(next(iter(shown.tracks.values()))) - 1))

    def band(axis: Any, name: str) -> None:
        mean, std = floors[f"watched_{name}"]
        axis.axhspan(mean - std, mean + std, color="0.85", label="floor")
        if name not in ("coverage", "density"):
            axis.set_yscale("log")
            figures.readable(axis.yaxis)

    titles = {name: metric.title for name, metric in moons.watched().items()}
    logged = [row for row in runs.read_metrics(run) if row["job"].endswith("seed0")]
    flow_figures.animation(run / "flow.gif", shown.tracks, grid)
    window = (np.array([-1.5, -1.1]), np.array([2.5, 1.6]))
    points = {name: [cloud.points for cloud in of] for name, of in shown.clouds.items()}
    classes = {name: [cloud.classes for cloud in of] for name, of in shown.clouds.items()}
    return {
        "w1.png": (
            figures.by_steps(numbers, "w1", "W$_1$, coordinates standardised"),
            "Distance to fresh data against steps, and the floor.",
        ),
        "samples.png": (
            figures.clouds(points, [*map(figures.steps_of, shown.nfe)], window, classes),
            "Samples by number of steps, seed 0, coloured by the class they were told, else the nearer moon; last row: the truth.",
        ),
        "training.png": (
            figures.curves(runs.read_metrics(run, "watched.jsonl"), titles, band),
            "Metrics over training (seed 0, averaged parameters, most steps): grey is one floor standard deviation.",
        ),
        "losses.png": (
            figures.training(logged),
            "Losses. A coupling lowers the loss by taking variance out of the target, whatever it does for the samples.",
        ),
        "trajectories.png": (
            flow_figures.trajectories(shown.tracks, grid),
            "Six snapshots of the way from noise (t = 1) to data (t = 0), coloured by the moon at its end.",
        ),
        "flow.gif": (None, "The same, moving."),
    }
