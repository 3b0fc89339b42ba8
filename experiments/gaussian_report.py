"""The page of a two-Gaussians run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments import report
from experiments.numbers import Number

_FIGURES = {
    "samples.png": "Samples by number of steps. The exact mean is a perfect classical model: what it lacks, no training adds.",
    "mmd2.png": "Distance to the truth against steps. Dashed: the two oracles. Grey: not told from the truth.",
    "spread.png": "Spread of the learned posterior against the exact one.",
    "training.png": "Training curves: means over 100 steps.",
}
_METRICS = {
    "mmd2": "MMD², Gaussian kernel of bandwidth 1, U-statistic (may be negative)",
    "sliced_w2": "Sliced W₂, Euclidean ground cost, power 2, 64 projections",
}


def write(folder: Path, summary: dict[str, Any], numbers: Sequence[Number]) -> None:
    """Write report.html into `folder`, its figures embedded."""
    body = []
    for metric in dict.fromkeys(number.metric for number in numbers):
        body.append(report.number_table([n for n in numbers if n.metric == metric], _METRICS[metric]))
    body.append(report.paragraph(f"In brackets: {summary['interval']}.", small=True))
    for name, shares in summary["gap_closed"].items():
        told = ", ".join(f"{steps}: {100 * share:.2f} %" for steps, share in shares.items())
        body.append(report.paragraph(f"Gap closed between the exact mean and the floor by {name}, by steps: {told}."))
    for name, curve in summary["spread"].items():
        error = f"off by {100 * curve['mean_error']:.1f} % on average over t in [.2, .95]"
        body.append(report.paragraph(f"Posterior spread of {name}: {error}."))
    report.page(folder, summary, body + report.figures(folder, _FIGURES))
