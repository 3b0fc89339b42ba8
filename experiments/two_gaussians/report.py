"""What the two-Gaussians page says and shows."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ddjax import runs
from ddjax.judging import Number, Spread
from experiments.common import figures


def sentences(closed: dict[str, dict[int, float]], spreads: dict[str, Spread]) -> list[str]:
    """What the numbers say."""
    lines = []
    for name, shares in closed.items():
        of_steps = ", ".join(f"{steps}: {100 * share:.2f} %" for steps, share in shares.items())
        lines.append(f"gap closed between the exact mean and the floor at equal steps, {name}: {of_steps}")
    for name, curve in spreads.items():
        off = f"off by {100 * curve.mean_error:.1f} % on average over t in [.2, .95]"
        lines.append(f"posterior spread, {name}: {off}")
    return lines


def drawn(
    run: Path,
    numbers: Sequence[Number],
    clouds: dict[str, list[np.ndarray]],
    spreads: dict[str, Spread],
    truth: np.ndarray,
    *,
    nfe: Sequence[int],
    churn: float,
) -> dict[str, tuple[Figure, str]]:
    """Samples, distance by steps, posterior spread, training curves."""
    titles, window = [*map(figures.steps_of, nfe), "truth"], (truth.min(0) - 1.0, truth.max(0) + 1.0)
    rows = {name: [*of_steps, truth] for name, of_steps in clouds.items()}
    limit = "The exact mean is a perfect classical model: what it lacks, no training adds."
    return {
        "mmd2.png": (
            figures.by_steps(numbers, "mmd2", "MMD$^2$ (RBF, bandwidth 1, U)", churn=churn),
            "Distance to the truth against steps. Dashed: the two oracles. Grey: not told from the truth.",
        ),
        "samples.png": (figures.clouds(rows, titles, window), f"Samples by number of steps. {limit}"),
        "spread.png": (figures.spread(spreads), "Spread of the learned posterior against the exact one."),
        "training.png": (
            figures.training(runs.read_metrics(run), ("loss", "confinement", "interaction")),
            "Training curves: means over 100 steps.",
        ),
    }
