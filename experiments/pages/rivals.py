"""What the page of the few-step family says and shows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ddjax import runs
from ddjax.judging import Number
from experiments.pages import figures

SHOWN = 2000  # points of a picture


def sentences(closed: dict[str, dict[str, dict[int, float]]]) -> list[str]:
    """The share of the gap that each preset closes, by target."""
    lines = []
    for target, by_model in closed.items():
        for name, shares in by_model.items():
            of_steps = ", ".join(f"{steps}: {100 * share:.1f} %" for steps, share in shares.items())
            lines.append(f"{target}, gap in W₁ closed between the exact mean and the floor, {name}: {of_steps}")
    return lines


def drawn(
    run: Path, numbers: Sequence[Number], clouds: dict[str, dict[str, list[np.ndarray]]], nfe: Sequence[int]
) -> dict[str, tuple[Figure, str]]:
    """Distance by steps and samples of every target, training curves."""
    pictures = {}
    for target, rows in clouds.items():
        pictures[f"w1_{target}.png"] = (
            figures.by_steps(numbers, f"w1 {target}", f"W$_1$, {target.replace('_', ' ')}"),
            "Distance to fresh data against steps. Dashed: the two oracles.",
        )
        points = np.concatenate([np.concatenate(of_steps) for of_steps in rows.values() if of_steps])
        low, high = np.quantile(points, 0.001, 0) - 0.2, np.quantile(points, 0.999, 0) + 0.2
        shown = {name: [cloud[:SHOWN] for cloud in of_steps] for name, of_steps in rows.items()}
        titles = [*map(figures.steps_of, nfe)]
        pictures[f"samples_{target}.png"] = (
            figures.clouds(shown, titles, (low, high)),
            "Samples by number of steps, seed 0.",
        )
    curves = figures.training(runs.read_metrics(run), ("loss",))
    return pictures | {"training.png": (curves, "Training curves: means over 100 steps.")}
