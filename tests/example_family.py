"""Distributional diffusion on one Gaussian, beside the exact posterior and its mean."""

from dataclasses import dataclass
from typing import Annotated, Any

import jax
import numpy as np

from ddjax import cli, judging, mixtures, types
from ddjax.cli.settings import Range
from ddjax.recipes import Distributional, Energy, Mlp, Recipe, part
from ddjax.runs import engine
from ddjax.types import Batch, Key
from experiments.common import figures, oracles, runner
from experiments.common.runner import Experiment, Findings, Trained
from experiments.common.settings import Scored


@dataclass(frozen=True)
class Config(Scored, Mlp):
    """Train distributional diffusion (DDM) on N((1, -1), I/4), and judge it beside both oracles."""

    samples: Annotated[int, Range(2)] = 2000
    """Points for each measured distance."""


def recipes_of(settings: Config) -> list[Recipe]:
    """One model for each beta."""
    shared = {"event_shape": (2,), "network": part(Mlp, settings), "optimizer": settings.optimizer()}
    return [
        part(Distributional, settings, name=f"ddm-beta{beta:g}", rule=Energy(beta=beta, lam=settings.lam), **shared)
        for beta in settings.beta
    ]


def target() -> Any:
    """The data."""
    return mixtures.GaussianMixture(np.ones(1), np.array([[1.0, -1.0]]), 0.25 * np.eye(2)[None])


def batches(settings: Config, recipe: Recipe, seed: int) -> Any:
    """Fresh points for every step."""
    mixture = target()
    return lambda key: mixture.sample(key, settings.batch)


def judge(settings: Config, trained: Trained) -> Findings:
    """Distances to fresh points of the target at every number of steps, with their floors, and a figure."""
    mixture, chosen = target(), oracles.distances()
    truth = lambda key, n: types.Batch(mixture.sample(key, n))  # noqa: E731
    key_floor, key_sweep = jax.random.split(jax.random.key(0))
    floors = judging.floors(truth, chosen, key_floor, n=settings.samples, repeats=16)
    numbers, against = [], judging.against(truth, chosen)
    models = [(model.name, model.draw, trained.params[model.name]) for model in trained.models]
    exact = [(name, draw, [None]) for name, draw in oracles.oracles(mixture).items()]
    for name, draw, params in [*models, *exact]:

        def drawn(params: Any, key: Key, steps: int, churn: None, draw: Any = draw) -> Batch:
            return types.Batch(draw(params, key, settings.samples, steps=steps))

        key = jax.random.clone(key_sweep)
        numbers += judging.sweep(name, drawn, params, against, floors, key, nfe=settings.nfe)
    titles = {name: metric.title for name, metric in chosen.items()}
    pictures = {"mmd2.png": (figures.by_steps(numbers, "mmd2", "MMD$^2$"), "Distance to the truth against steps.")}
    return Findings(numbers, titles, "low and high are the smallest and largest seed", figures=pictures)


def run(settings: Config) -> None:
    """Train, judge, write the report, print the tables."""
    engine.start(settings)
    runner.run(Experiment("one_gaussian", recipes_of(settings), batches, judge), settings)


if __name__ == "__main__":
    cli.main(Config, run)
