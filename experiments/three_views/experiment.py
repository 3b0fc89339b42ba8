"""SDE, density and probability flow of one process."""

import time
from typing import Any

import jax
import numpy as np

from ddjax import mixtures, schedules
from ddjax.mixtures import GaussianMixture
from ddjax.types import Schedule
from experiments.common import study
from experiments.common.runner import Findings
from experiments.three_views import evaluate as view_judges
from experiments.three_views import report as view_pages
from experiments.three_views.evaluate import Views
from experiments.three_views.settings import Config

TIMES, EVERY = 9, 6  # of the 49 times that are drawn, the 9 that are judged
WORST = 4.0


def run(config: Config) -> None:
    """Walk, compare, draw, write."""
    began = time.monotonic()
    folder = study.folder(config, "three_views")
    targets = {"1-D": line(), "2-D": plane()}
    schedule, times = schedule_of(config), times_of(config)
    told = times[::EVERY]
    key_reference, *keys = jax.random.split(jax.random.key(config.seed), 1 + len(targets))
    hand = reference(config, key_reference)
    shown, summary, worst = {}, {}, 0.0
    for (name, mixture), key in zip(targets.items(), keys, strict=True):
        key_floor, *draws = jax.random.split(key, 1 + config.draws)
        how = {"n": config.n, "times": times, "substeps": config.substeps}
        fine = [view_judges.walked(mixture, schedule, key, **how) for key in draws]
        views = [of_draw.every(EVERY) for of_draw in fine]
        agreed, stds = view_judges.agreement(mixture, schedule, views, key_floor, repeats=config.repeats)
        shown[name] = (mixture, fine[0])
        summary[name] = {
            "off": {view: rounded(found.off) for view, found in agreed.items()},
            "floor": [float(f"{std:.3g}") for std in stds],
            "exact": rounded(view_judges.exact_correlations(mixture, schedule, told)),
            "joint": study_of_ends(mixture, schedule, views),
        }
        worst = max(worst, *(float(found.off.max()) for found in agreed.values()))
    told = {"times": [float(t) for t in told], "worst": worst, "by hand": hand, "views": summary}
    found = Findings(
        [], {}, "", told,
        view_pages.drawn(folder, shown, told, schedule),
        [],
        view_pages.tables(told, config.n, config.draws),
        verdict=f"Marginals: at most {worst:.1f} standard deviations of the floor off, over {len(targets) * 3 * TIMES} numbers.",
    )  # fmt: skip
    study.write(folder, "three_views", config, found, began)
    if worst > WORST:
        raise SystemExit(f"error: a marginal leaves the floor by {worst:.1f} standard deviations, more than {WORST:g}")


def rounded(values: Any) -> list[float]:
    """As they are kept."""
    return [round(float(value), 4) for value in values]


def schedule_of(config: Config) -> Schedule:
    """The Ornstein-Uhlenbeck process of the settings."""
    if config.rate == "constant":
        return schedules.OrnsteinUhlenbeck(config.g)
    if config.rate == "linear":
        return schedules.VariancePreserving(min(0.1, config.g), config.g)
    return schedules.Cosine()


def times_of(config: Config) -> Any:
    """Of the frames, more near the data."""
    return (0.99 if config.rate == "cosine" else 1.0) * np.linspace(0, 1, EVERY * (TIMES - 1) + 1) ** 2


def line() -> GaussianMixture:
    """Two unequal humps."""
    return mixtures.GaussianMixture(np.array([0.35, 0.65]), np.array([[-1.5], [1.0]]), np.array([[[0.1]], [[0.3]]]))


def plane() -> GaussianMixture:
    """Three unequal, tilted ones."""
    tilted = np.array([[[0.4, 0.25], [0.25, 0.2]], [[0.1, 0.0], [0.0, 0.1]], [[0.2, -0.15], [-0.15, 0.3]]])
    return mixtures.GaussianMixture(
        np.array([0.5, 0.2, 0.3]), np.array([[1.2, 0.8], [-0.4, -1.4], [-1.4, 0.8]]), tilted
    )


def study_of_ends(mixture: GaussianMixture, schedule: Schedule, views: list[Views]) -> dict[str, dict[str, Any]]:
    """By view: correlations with x_0 over time, of residuals given the middle time, and neighbours kept; means over draws."""

    def of(name: str) -> dict[str, Any]:
        pearson, ranks = np.mean([view_judges.correlations(view.states[name]) for view in views], 0)
        given = [view_judges.residual_correlation(mixture, schedule, view, name, TIMES // 2) for view in views]
        kept = [view_judges.overlap(view.states[name]) for view in views]
        numbers = rounded((pearson[-1], ranks[-1], np.mean(given), np.mean(kept)))
        return dict(zip(("pearson", "ranks", "given", "kept"), numbers, strict=True)) | {"over time": rounded(ranks)}

    return {name: of(name) for name in views[0].states}


def reference(config: Config, key: Any) -> dict[str, dict[str, Any]]:
    """The case with numbers by hand, g = 2, T = 1, data N(0, 4): by view, what was found, and what it should be."""
    gaussian = mixtures.GaussianMixture(np.ones(1), np.zeros((1, 1)), np.array([[[4.0]]]))
    schedule = schedules.OrnsteinUhlenbeck(2.0)
    times = np.linspace(0, 1, 3)
    n = config.n * config.draws
    views = view_judges.walked(gaussian, schedule, key, n=n, times=times, substeps=6 * config.substeps)
    exact = float(view_judges.exact_correlations(gaussian, schedule, times)[-1])
    found = {}
    for name, path in views.states.items():
        expected = 1.0 if name == view_judges.FLOW else exact
        given = view_judges.residual_correlation(gaussian, schedule, views, name, 1)
        numbers = (view_judges.correlations(path)[0][-1], (1 - expected**2) / n**0.5, expected, given, n**-0.5)
        named = dict(zip(("pearson", "error", "exact", "given", "given error"), rounded(numbers), strict=True))
        found[name] = {"std": rounded((path[0].std(), path[-1].std()))} | named
    return found
