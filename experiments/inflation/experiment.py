"""Inflationary flows on toys and digits."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ddjax import data, inflation, judging, types
from ddjax.judging import Number
from ddjax.recipes import Inflation, Mlp, part
from ddjax.recipes import inflation as inflations
from ddjax.runs import classifiers, engine
from ddjax.types import Batch, Key, Params
from experiments.common import runner
from experiments.common.runner import Experiment, Findings, Trained
from experiments.inflation import evaluate as inflation_judges
from experiments.inflation import report as inflation_pages
from experiments.inflation.settings import Config


class Source(NamedTuple):
    """Data to train on and to judge by, the metric of samples, and its floor."""

    sample: Callable[[Key, int], Any]
    held_out: Callable[[Key, int], Batch]
    event_shape: tuple[int, ...]
    eigen: Any
    distances: dict[str, Any]
    floors: dict[str, Any]
    n: int


def source_of(settings: Config) -> Source:
    """The data, their eigenbasis, and how far two true samples are from each other."""
    key_basis, key_floor = jax.random.split(jax.random.key(0))
    if settings.data != "digits":
        sample = inflation_judges.standardised(settings.data)
        distances, truth = inflation_judges.distances(), inflation_judges.truth(sample)
        floors = judging.floors(truth, distances, key_floor, n=settings.samples, repeats=settings.repeats)
        eigen = inflation.eigenbasis(sample(key_basis, 100_000))
        return Source(sample, truth, (2,), eigen, distances, floors, settings.samples)
    train, test = data.load("digits", "train"), data.load("digits", "test")
    images, real = (data.to_float(jnp.asarray(part.x)) for part in (train, test))  # pyright: ignore[reportAttributeAccessIssue]
    distances = inflation_judges.distances(classifiers.trained(train, test).features)
    sample = lambda key, n: jax.random.choice(key, images, (n,), replace=n > len(images))  # noqa: E731
    held_out = lambda key, n: types.Batch(real)  # noqa: E731
    n = min(settings.samples, len(images))
    seen = types.Batch(jax.random.permutation(key_floor, images)[:n])
    base = {name: (metric.distance(seen, types.Batch(real)), None) for name, metric in distances.items()}
    eigen = inflation.eigenbasis(images, least=settings.least)
    return Source(sample, held_out, train.shape, eigen, distances, base, n)


def recipes_of(settings: Config, source: Source) -> list[Inflation]:
    """One model for each number of kept directions and, where some are kept, each gap."""
    shared = {"event_shape": source.event_shape, "eigen": inflations.written(source.eigen)}
    shared |= {"network": part(Mlp, settings), "optimizer": settings.optimizer()}
    models = []
    for keep in settings.keep:
        for gap in settings.gap if keep else (Inflation.gap,):
            name = f"keep {keep}, gap {gap:g}" if keep else "preserving"
            models.append(part(Inflation, settings, name=name, keep=keep, gap=gap, **shared))
    return models


def judge(settings: Config, trained: Trained, *, source: Source) -> Findings:
    """Samples by number of steps, beside PCA's Gaussian; then the way up, down, there and back of every model and seed."""
    key_sweep, key_data, key_judge = jax.random.split(jax.random.key(2026), 3)
    steps = max(settings.nfe)
    against = judging.against(lambda key, n: source.held_out(key, n), source.distances)
    numbers: list[Number] = []

    def swept(name: str, draw: Any, params: list[Params], nfe: tuple[int, ...]) -> None:
        of_draw = lambda params, key, steps, churn: types.Batch(draw(params, key, steps))  # noqa: E731
        key = jax.random.clone(key_sweep)
        numbers.extend(judging.sweep(name, of_draw, params, against, source.floors, key, nfe=nfe))

    flows = [recipe for recipe in trained.recipes if isinstance(recipe, Inflation)]
    for recipe, model in zip(flows, trained.models, strict=True):
        draw = lambda params, key, steps, model=model: model.draw(params, key, source.n, steps=steps)  # noqa: E731
        swept(recipe.name, draw, trained.params[recipe.name], settings.nfe)
        if recipe.keep:
            few = inflation_judges.from_the_kept(recipe, model, steps=steps, method=settings.method)
            alone = lambda params, key, steps, few=few: few(params, key, source.n)  # noqa: E731
            swept(f"{recipe.name}: the kept latents alone", alone, trained.params[recipe.name], (steps,))
    for keep in sorted({recipe.keep or len(source.eigen.variances) for recipe in flows}):
        gaussian = inflation_judges.pca_gaussian(source.eigen, keep)
        plain = lambda params, key, steps, gaussian=gaussian: gaussian(params, key, source.n)  # noqa: E731
        swept(f"PCA's Gaussian of {keep} (no training)", plain, [None], (steps,))
    points = source.sample(key_data, source.n)
    judged = {
        recipe.name: [
            inflation_judges.judged(recipe, params, points, key, steps=steps, method=settings.method)
            for params, key in zip(
                trained.params[recipe.name], jax.random.split(jax.random.clone(key_judge), settings.seeds), strict=True
            )
        ]
        for recipe in flows
    }
    return inflation_pages.findings(trained, numbers, judged, source.distances, source.floors)


def run(settings: Config) -> None:
    """Train, judge, write the report, print the tables."""
    engine.start(settings)
    began = time.monotonic()
    source = source_of(settings)
    told = ", ".join(f"{float(v):.3g}" for v in source.eigen.variances[:4])
    pr = float(inflation.participation_ratio(source.eigen.variances))
    note = f"{settings.data}: variances {told}{', ...' if len(source.eigen.variances) > 4 else ''}, participation ratio {pr:.3f}"
    runner.run(
        Experiment(
            "inflation",
            recipes_of(settings, source),
            lambda settings, recipe, seed: lambda key: source.sample(key, settings.batch),
            partial(judge, source=source),
            preset=settings.data,
            notes=[note, f"data and floors: {time.monotonic() - began:.0f} s"],
        ),
        settings,
    )
