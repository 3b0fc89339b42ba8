"""Time to quality: seconds from process start until MMD^2 at 4 steps is at most 2e-3, on two Gaussians.

Sides take turns, a stretch of training each; the clock of a side runs from its process start through imports, compilation
and training, and stands still while others train and while its samples are judged. One judge for all: ddjax's MMD^2
(Gaussian kernel of bandwidth 1, U-statistic) against fresh samples of the truth.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from experiments.benchmark import toy, turns
from experiments.benchmark.suites import Plan

NEEDS = ("torch",)
SIDES = {
    "torch, as published": ("torch_toy", {"published": True}),
    "torch, corrected": ("torch_toy", {}),
    "torch, corrected, torch.compile": ("torch_toy", {"compiled": True}),
    "ddjax, xi early": ("ddjax_toy", {"inject": 0}),
    "ddjax, xi at layer 1": ("ddjax_toy", {"inject": 1}),
    "ddjax, xi at layer 2": ("ddjax_toy", {"inject": 2}),
}
TARGET, NFE = 2e-3, 4
EVERY = 2  # calls of the training work, of `toy.steps` steps each, between judgements


def run(plan: Plan) -> dict[str, Any]:
    """A curve [[seconds, steps, MMD^2], ...] for each side and seed, and the time to the target, None where it is missed."""
    n = 2_000 if plan.short else toy.SAMPLES
    steps, seeds = (300, 1) if plan.short else (3_000, 3)
    curves = [curve for seed in range(seeds) for curve in curves_of(seed, n, steps)]
    return {
        "target": TARGET,
        "nfe": NFE,
        "n": n,
        "steps": steps,
        "floor": floor(n),
        "rows": summary(curves),
        "curves": curves,
    }


def curves_of(seed: int, n: int, steps: int) -> list[dict[str, Any]]:
    """All sides with one seed."""
    work, done = f"train {toy.BATCH} {toy.POPULATION}", toy.steps(toy.BATCH, toy.POPULATION)
    common = {"trainings": [[toy.BATCH, toy.POPULATION]], "seed": seed}
    sides = {name: (module, settings | common) for name, (module, settings) in SIDES.items()}
    points: dict[str, list[tuple[float, int, float]]] = {name: [] for name in sides}
    with turns.started(sides, tolerance=1e-5) as processes, tempfile.TemporaryDirectory() as folder:
        clocks = {name: process.facts["ready"] for name, process in processes.items()}  # one call is done then
        for call in range(1, steps // done + 1):
            for name, process in processes.items():
                clocks[name] += process.ask("time", work) if call > 1 else 0.0
                if call % EVERY == 0:
                    points[name].append((round(clocks[name], 2), call * done, judged(process, Path(folder), n, call)))
                    time.sleep(turns.PAUSE)
    return [{"side": name, "seed": seed, "points": found} for name, found in points.items()]


def judged(process: turns.Process, folder: Path, n: int, seed: int) -> float:
    """MMD^2 of fresh samples at 4 steps."""
    file = folder / "samples.npy"
    process.ask("save", str(file), n, NFE, seed)
    return mmd2(np.load(file), seed)


def mmd2(samples: np.ndarray, seed: int) -> float:
    """Against as many fresh samples of the truth."""
    import jax
    import jax.numpy as jnp

    from ddjax import metrics
    from ddjax.targets import two_gaussians

    truth = two_gaussians().sample(jax.random.key(1000 + seed), len(samples))
    return float(f"{float(metrics.mmd(jnp.asarray(samples), truth)):.4g}")


def floor(n: int, repeats: int = 10) -> float:
    """Standard deviation of MMD^2 between two samples of the truth: what lies below is not told from it."""
    import jax

    from ddjax.targets import two_gaussians

    samples = [np.asarray(two_gaussians().sample(jax.random.key(i), n)) for i in range(repeats)]
    return float(f"{np.std([mmd2(sample, i) for i, sample in enumerate(samples)]):.2g}")


def summary(curves: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each side: median time and steps to the target over seeds (None unless most reach it), last MMD^2."""
    rows = []
    for side in dict.fromkeys(curve["side"] for curve in curves):
        of_side = [curve["points"] for curve in curves if curve["side"] == side]
        reached = [next((point for point in points if point[2] <= TARGET), None) for points in of_side]
        seconds, steps = (
            float(np.median([np.inf if point is None else point[i] for point in reached])) for i in (0, 1)
        )
        last = [float(np.median([point[2] for point in points[-5:]])) for points in of_side]
        rows.append({
            "side": side,
            "seconds": seconds if np.isfinite(seconds) else None,
            "steps": steps if np.isfinite(steps) else None,
            "reached": f"{sum(point is not None for point in reached)} of {len(reached)}",
            "ms": round(float(np.median([stretch_ms(points) for points in of_side])), 2),
            "last_mmd2": float(f"{np.median(last):.2g}"),
        })  # fmt: skip
    return rows


def stretch_ms(points: list[tuple[float, int, float]]) -> float:
    """Milliseconds of a training step between the first judgement and the last."""
    (began, first, _), (ended, last, _) = points[0], points[-1]
    return 1e3 * (ended - began) / (last - first)
