"""The page of an image run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ddjax.judging import Number
from experiments import report

TABLES = {
    "frechet pixels": "Fréchet distance, pixels",
    "frechet features": "Fréchet distance, classifier features",
    "FID": "FID, against the training images",
    "kernel distance features": "Kernel distance, classifier features (unbiased, may be negative)",
    "class accuracy": "Class accuracy of conditional samples",
    "precision features": "Precision, classifier features, k = 5",
    "recall features": "Recall, classifier features, k = 5",
    "density features": "Density, classifier features, k = 5",
    "coverage features": "Coverage, classifier features, k = 5",
    "memorisation pixels": "Median distance to the nearest training image, over that of held-out images (near 0: copies)",
}


def write(folder: Path, summary: dict[str, Any], numbers: Sequence[Number]) -> None:
    """Write report.html into `folder`, its figures embedded."""
    body = [report.paragraph(line) for line in summary["data"] if line]
    body.append(report.paragraph(f"{summary['protocol']}. In brackets: {summary['interval']}.", small=True))
    for metric, title in TABLES.items():
        if of_metric := [number for number in numbers if number.metric == metric]:
            body.append(report.number_table(of_metric, title))
    captions = {
        "frechet-pixels.png": "Distance by steps, pixels.",
        "frechet-features.png": "Distance by steps, features.",
    }
    captions["samples.png"] = "Samples by number of steps, first seed; last row held-out images."
    pictures = sorted(path.name for path in folder.glob("posterior-*.png"))
    captions |= {
        name: "A held-out image, the same with noise, and draws of what it could have been." for name in pictures
    }
    captions["losses.png"] = "Training losses of the first seed."
    report.page(folder, summary, body + report.figures(folder, captions))
