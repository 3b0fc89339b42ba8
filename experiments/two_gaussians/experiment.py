"""Distributional diffusion on the paper's two Gaussians."""

from typing import Any

import jax
import numpy as np

from ddjax import judging, targets, types
from ddjax.recipes import Distributional, Energy, Mlp, Recipe, Regression, part
from ddjax.runs import engine
from ddjax.types import Batch, Key
from experiments.common import oracles, runner, verdicts
from experiments.common.runner import Experiment, Findings, Trained
from experiments.two_gaussians import evaluate as gaussian_judges
from experiments.two_gaussians import report as gaussian_pages
from experiments.two_gaussians.settings import Config

SHOWN = 2000  # points of a picture
DRAWS, PAIRS = 8, 24  # of a trained model and of the truth, behind the verdict: of fewer it is the luck of its draws


def recipes_of(settings: Config) -> list[Recipe]:
    """One distributional model for each beta, and regression with the same net."""
    shared = {"event_shape": (2,), "network": part(Mlp, settings), "optimizer": settings.optimizer()}
    models = [
        part(Distributional, settings, name=f"ddm-beta{beta:g}", rule=Energy(beta=beta, lam=settings.lam), **shared)
        for beta in settings.beta
    ]
    return [*models, part(Regression, settings, name="regression", **shared)]


def batches(settings: Config, recipe: Recipe, seed: int) -> Any:
    """Fresh points for every step."""
    mixture = targets.two_gaussians()
    return lambda key: mixture.sample(key, settings.batch)


def judge(settings: Config, trained: Trained) -> Findings:
    """Models and both oracles at every number of steps and churn, and the spread of the learned posteriors."""
    mixture, chosen = targets.two_gaussians(), oracles.distances()
    truth = lambda key, n: types.Batch(mixture.sample(key, n))  # noqa: E731
    key_floor, key_sweep, key_spread = jax.random.split(jax.random.key(2026), 3)
    floors = judging.floors(truth, chosen, key_floor, n=settings.samples, repeats=PAIRS)
    enough = max(settings.repeats, DRAWS)
    entries = [(model.name, model.draw, trained.params[model.name], enough) for model in trained.models]
    entries += [(name, draw, [None], settings.repeats) for name, draw in oracles.oracles(mixture).items()]
    first = verdicts.steps_of(settings.nfe)
    others = tuple(n for n in settings.nfe if n != first)
    judged = judging.against(truth, chosen)
    numbers, clouds = [], {}
    for (name, draw, params, draws), key in zip(entries, jax.random.split(key_sweep, len(entries)), strict=True):

        def drawn(params: Any, key: Key, steps: int, churn: float, draw: Any = draw) -> Batch:
            return types.Batch(draw(params, key, settings.samples, steps=steps, churn=churn))

        found = []
        key_others, key_first = jax.random.split(jax.random.clone(key))
        for key_part, nfe, repeats in ((key_others, others, settings.repeats), (key_first, (first,), draws)):
            swept = {"nfe": nfe, "churn": settings.churn, "repeats": repeats}
            found += judging.sweep(name, drawn, params, judged, floors, key_part, **swept) if nfe else []
        numbers += sorted(found, key=lambda number: number.nfe)
        last = settings.churn[-1]
        clouds[name] = [np.asarray(drawn(params[0], key, n, last).x_0)[:SHOWN] for n in settings.nfe]
    spreads = gaussian_judges.spreads(trained.recipes, trained.params, mixture, key_spread)
    closed = judging.gap_closed(numbers, "mmd2", oracles.MEAN)
    points, told = np.asarray(mixture.sample(key_floor, SHOWN)), {"nfe": settings.nfe, "churn": settings.churn[-1]}
    return Findings(
        numbers,
        {name: metric.title for name, metric in chosen.items()},
        "low and high are the smallest and largest of seeds x repeats fresh draws; value is the median over seeds",
        {"gap_closed": closed, "spread": {name: curve._asdict() for name, curve in spreads.items()}},
        gaussian_pages.drawn(trained.folder.path, numbers, clouds, spreads, points, **told),
        notes=gaussian_pages.sentences(closed, spreads),
    )


def run(settings: Config) -> None:
    """Train, judge, write the report, print the table."""
    engine.start(settings)
    preset = "full" if settings.full else "default"
    runner.run(Experiment("two_gaussians", recipes_of(settings), batches, judge, preset=preset), settings)
