"""The page of a two-moons run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ddjax.judging import Number
from experiments import report
from experiments.moons import judging

_FIGURES = {
    "training.png": "Metrics over training (seed 0, averaged parameters, most steps): grey is one floor standard deviation.",
    "losses.png": "Losses. A coupling lowers the loss by taking variance out of the target, whatever it does for the samples.",
    "samples.png": "Samples by number of steps, seed 0.",
    "trajectories.png": "Six snapshots of the way from noise (t = 1) to data (t = 0), coloured by the moon at its end.",
    "flow.gif": "The same, moving.",
}


def write(folder: Path, summary: dict[str, Any], numbers: Sequence[Number]) -> None:
    """Write report.html into `folder`, its figures embedded."""
    titles = judging.FEW_STEP | judging.PER_CLASS
    body = []
    for name, metric in titles.items():
        if of_metric := [n for n in numbers if n.metric == name]:
            body.append(report.number_table(of_metric, metric.title))
    body.append(
        report.paragraph(f"In brackets: {summary['interval']}. {judging.__doc__.split('. ', 1)[1]}", small=True)
    )
    body += [report.heading(f"At {summary['settings']['nfe'][-1]} steps"), _at_the_end(numbers)]
    body += [report.heading("Losses and straightness"), _shapes(summary)]
    report.page(folder, summary, body + report.figures(folder, _FIGURES))


def _at_the_end(numbers: Sequence[Number]) -> str:
    chosen = [n for n in numbers if n.metric in judging.AT_THE_END]
    models = dict.fromkeys(n.model for n in chosen)
    values = {(n.model, n.metric): f"{n.value:.3g} [{n.low:.3g}, {n.high:.3g}]" for n in chosen}
    floors = {n.metric: f"{n.floor:.3g} ± {n.floor_std:.1g}" for n in chosen}
    lines = [[model, *(values[model, name] for name in judging.AT_THE_END)] for model in models]
    lines.append(["floor", *(floors[name] for name in judging.AT_THE_END)])
    return report.plain_table(["model", *(metric.title for metric in judging.AT_THE_END.values())], lines)


def _shapes(summary: dict[str, Any]) -> str:
    lines = [[f"loss of {name}", f"{loss:.3f}", ""] for name, loss in summary["final_loss"].items()]
    lines += [
        [f"flow of {name}", f"{shape['straightness']:.3f}", f"{shape['length_over_distance']:.3f}"]
        for name, shape in summary["straightness"].items()
    ]
    return report.plain_table(["", "loss (last 500 steps) or straightness (0: straight)", "length / distance"], lines)
