"""Distributional diffusion on one Gaussian, beside the exact posterior and its mean."""

from dataclasses import dataclass

import jax

from ddjax import cli, judging, mixtures, types
from ddjax.cli.settings import Count
from ddjax.recipes import Distributional, Energy, Mlp, Recipe, part
from ddjax.runs import engine
from experiments.common import figures, oracles, runner
from experiments.common.settings import Scored

TARGET = mixtures.GaussianMixture([1.0], [[1.0, -1.0]], [[[0.25, 0.0], [0.0, 0.25]]])


@dataclass(frozen=True)
class Config(Scored, Mlp):
    """Train distributional diffusion (DDM) on N((1, -1), I/4), and evaluate it beside both oracles."""

    samples: Count = 2000
    """Points for each measured distance."""


def recipes_of(settings: Config) -> list[Recipe]:
    """One model for each beta."""
    shared = {"event_shape": (2,), "network": part(Mlp, settings), "optimizer": settings.optimizer()}
    rules = [Energy(beta=beta, lam=settings.lam) for beta in settings.beta]
    return [part(Distributional, settings, name=f"ddm-beta{rule.beta:g}", rule=rule, **shared) for rule in rules]


def batches(settings: Config, recipe: Recipe, seed: int):
    """Fresh points for every step."""
    return lambda key: TARGET.sample(key, settings.batch)


def evaluate(settings: Config, trained: runner.Trained) -> runner.Findings:
    """Distances to fresh points at every number of steps, with their floors, and a figure."""
    metrics, truth = oracles.distances(), lambda key, n: types.Batch(TARGET.sample(key, n))
    key_floor, key_sweep = jax.random.split(jax.random.key(0))
    floors = judging.floors(truth, metrics, key_floor, n=settings.samples, repeats=16)
    models = [(model.name, model.draw, trained.params[model.name]) for model in trained.models]
    models += [(name, draw, [None]) for name, draw in oracles.oracles(TARGET).items()]
    numbers, against = [], judging.against(truth, metrics)
    for name, draw, params in models:
        points = lambda params, key, n, churn, draw=draw: types.Batch(draw(params, key, settings.samples, steps=n))  # noqa: E731
        numbers += judging.sweep(name, points, params, against, floors, jax.random.clone(key_sweep), nfe=settings.nfe)
    pictures = {"mmd2.png": (figures.by_steps(numbers, "mmd2", "MMD$^2$"), "Distance to the truth against steps.")}
    titles = {name: metric.title for name, metric in metrics.items()}
    return runner.Findings(numbers, titles, "low and high are the smallest and largest seed", figures=pictures)


def run(settings: Config) -> None:
    """Train, evaluate, write the report, print the tables."""
    engine.start(settings)
    runner.run(runner.Experiment("one_gaussian", recipes_of(settings), batches, evaluate), settings)


if __name__ == "__main__":
    cli.main(Config, run)
