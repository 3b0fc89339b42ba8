"""Three views of one diffusion: noisy paths, an evolving density, smooth paths; equal at every time, different together.

No training: scores are closed forms. Expected with the defaults: every marginal of every view at the floor; correlations of the
two ends .62 for both SDEs and 1 for the flow (g = 2, data N(0, 4)); neighbours kept by the flow, and lost by the SDE.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ddjax import cli
from ddjax.cli.settings import Count, Positive, Range, Seed
from experiments.common import study
from experiments.common.runner import Findings
from experiments.common.study import Study
from experiments.lazy import jax, mixtures, np, schedules, view_judges, view_pages

if TYPE_CHECKING:
    from ddjax.mixtures import GaussianMixture
    from ddjax.types import Schedule
    from experiments.three_views.evaluate import Views


@dataclass(frozen=True)
class Config(Study):
    """Walk an SDE, its reverse and its probability flow on exact scores, in 1-D and 2-D; compare marginals and joint laws.

    Writes summary.json, three_views.png, joint_laws.png, three_views.gif and report.html into --out. Exits 1 if a marginal leaves
    the floor by more than 4 standard deviations.

    Example: python -m experiments.three_views --rate linear --n 1000
    """

    rate: Literal["constant", "linear", "cosine"] = "constant"
    """How g grows over [0, 1]: constant; linear from .1; cosine, alpha a quarter circle (to t = .99, where alpha is .016)."""
    g: Positive = 10.0
    """The constant rate, or the last of the linear one."""
    n: Annotated[int, Range(500)] = 4000
    """Points of each draw of each view."""
    draws: Annotated[int, Range(4)] = 4
    """Independent draws of every view, behind each number: of fewer one leaves the floor by chance."""
    substeps: Count = 10
    """Heun's steps between each two of 49 times, of which 9 are judged."""
    repeats: Annotated[int, Range(16)] = 16
    """Pairs of true samples behind each floor: of fewer its deviation is no gate."""
    seed: Seed = 0
    """Of all random numbers."""

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once: three views at 49 times, in the plane, of every draw."""
        return {("n", "draws"): 3 * 49 * 2 * self.n * self.draws}


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


if __name__ == "__main__":
    cli.main(Config, run)
