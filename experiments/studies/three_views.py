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
from experiments import study
from experiments.lazy import jax, mixtures, np, report, schedules, view_judges, view_pages
from experiments.run import Findings
from experiments.study import Study

if TYPE_CHECKING:
    from ddjax.mixtures import GaussianMixture
    from ddjax.types import Schedule
    from experiments.judges.views import Agreement, Views


@dataclass(frozen=True)
class Config(Study):
    """Walk an SDE, its reverse and its probability flow on exact scores, in 1-D and 2-D; compare marginals and joint laws.

    Writes summary.json, three_views.png, joint.png, three_views.gif and report.html into --out. Exits 1 if a marginal leaves the
    floor by more than 4 standard deviations.
    """

    rate: Literal["constant", "linear", "cosine"] = "constant"
    """How g grows over [0, 1]: constant; linear from .1; cosine, alpha a quarter circle (to t = .99, where alpha is .016)."""
    g: Positive = 10.0
    """The constant rate, or the last of the linear one."""
    n: Annotated[int, Range(500)] = 4000
    """Points of each draw of each view."""
    draws: Count = 4
    """Independent draws of every view, behind each number."""
    substeps: Count = 10
    """Heun's steps between each two of 49 times, of which 9 are judged."""
    repeats: Annotated[int, Range(2)] = 16
    """Pairs of true samples behind each floor."""
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
    tables, curves, shown, summary, worst = [reference(config, key_reference)], {}, {}, {}, 0.0
    for (name, mixture), key in zip(targets.items(), keys, strict=True):
        key_floor, *draws = jax.random.split(key, 1 + config.draws)
        how = {"n": config.n, "times": times, "substeps": config.substeps}
        fine = [view_judges.walked(mixture, schedule, key, **how) for key in draws]
        views = [of_draw.every(EVERY) for of_draw in fine]
        agreed, stds = view_judges.agreement(mixture, schedule, views, key_floor, repeats=config.repeats)
        joined = study_of_ends(mixture, schedule, views)
        tables += [marginals(name, told, agreed, stds), ends(name, joined, config.n)]
        curves[name] = (told, view_judges.exact_correlations(mixture, schedule, told), joined)
        shown[name] = (mixture, fine[0])
        summary[name] = {
            "off": {view: [round(float(x), 3) for x in found.off] for view, found in agreed.items()},
            "joint": {
                view: {key: round(float(x), 4) for key, x in of.items() if np.ndim(x) == 0}
                for view, of in joined.items()
            },
        }
        worst = max(worst, *(float(found.off.max()) for found in agreed.values()))
    found = Findings(
        [], {}, "",
        {"times": [float(t) for t in told], "worst": worst, "views": summary},
        view_pages.drawn(folder, shown, curves, schedule),
        [f"Marginals: at most {worst:.1f} standard deviations of the floor off, over {len(targets) * 3 * TIMES} numbers."],
        tables,
    )  # fmt: skip
    study.write(folder, "three_views", config, found, began)
    if worst > WORST:
        raise SystemExit(f"error: a marginal leaves the floor by {worst:.1f} standard deviations, more than {WORST:g}")


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
        ends = {"pearson": pearson[-1], "ranks": ranks[-1], "given": np.mean(given), "kept": np.mean(kept)}
        return ends | {"over time": ranks}

    return {name: of(name) for name in views[0].states}


def reference(config: Config, key: Any) -> Any:
    """The case with numbers by hand: g = 2, T = 1, data N(0, 4)."""
    gaussian = mixtures.GaussianMixture(np.ones(1), np.zeros((1, 1)), np.array([[[4.0]]]))
    schedule = schedules.OrnsteinUhlenbeck(2.0)
    times = np.linspace(0, 1, 3)
    n, steps = config.n * config.draws, EVERY * TIMES // 2 * config.substeps
    views = view_judges.walked(gaussian, schedule, key, n=n, times=times, substeps=steps)
    exact = float(view_judges.exact_correlations(gaussian, schedule, times)[-1])
    lines = []
    for name, path in views.states.items():
        expected = 1.0 if name == view_judges.FLOW else exact
        error = (1 - expected**2) / n**0.5
        given = view_judges.residual_correlation(gaussian, schedule, views, name, 1)
        told = f"{given:.4f} ± {n**-0.5:.4f}" if expected < 1 else "each end determines the other"
        std = f"{path[0].std():.3f}, {path[-1].std():.3f}"
        lines.append([name, std, f"{view_judges.correlations(path)[0][-1]:.4f} ± {error:.4f}", f"{expected:.4f}", told])
    heads = ["g = 2, T = 1, data N(0, 4)", "std of both ends", "corr(x_0, x_T)", "exact", "corr given x_(T/2)"]
    return report.plain(
        f"By hand, n = {n:,}: standard deviations are 2 and {(4 * np.exp(-2) - np.expm1(-2)) ** 0.5:.3f}", heads, lines
    )


def marginals(name: str, times: Any, agreed: dict[str, Agreement], stds: Any) -> Any:
    """MMD^2 to the exact marginal at each time, in standard deviations of the floor."""
    lines = [[view, *(f"{off:.1f}" for off in found.off)] for view, found in agreed.items()]
    floor = ["the floor's own, in MMD²", *(f"{std:.0e}" for std in stds)]
    title = f"{name}: MMD² to the exact marginal at 9 times, in standard deviations of the two-sample floor"
    return report.plain(title, ["view", *(f"t = {t:.2g}" for t in times)], [*lines, floor])


def ends(name: str, joined: dict[str, dict[str, Any]], n: int) -> Any:
    """What both ends have to do with each other."""
    lines = [
        [view, f"{of['pearson']:.3f}", f"{of['ranks']:.3f}", f"{of['given']:.3f}", f"{of['kept']:.3f}"]
        for view, of in joined.items()
    ]
    heads = ["view", "corr(x_0, x_T)", "of ranks", "of residuals given the middle time", "10 nearest neighbours kept"]
    told = 10 / (min(n, 2000) - 1)
    return report.plain(f"{name}: both ends together (neighbours kept by chance: {told:.3f})", heads, lines)


if __name__ == "__main__":
    cli.main(Config, run)
