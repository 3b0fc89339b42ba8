"""Diffusion on images with an optimal-transport loss."""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ddjax import data, judging, types
from ddjax.data import Images
from ddjax.recipes import Model, Recipe
from ddjax.runs import Run, classifiers, engine
from ddjax.types import Batch, Key, Params
from experiments.common import runner
from experiments.common.images import feeds
from experiments.common.images import report as image_pages
from experiments.common.runner import Experiment, Findings, Trained
from experiments.ot_loss import evaluate as gap_judges
from experiments.ot_loss import models as gap_models
from experiments.ot_loss import report as gap_pages
from experiments.ot_loss.evaluate import Space
from experiments.ot_loss.settings import Config


def drawn(settings: Config, recipe: Recipe, model: Model, where: Space, params: Params, key: Key, steps: int) -> Batch:
    """As many images as a set has, of the classes of the training images that they are compared with."""
    labels = None
    if recipe.classes and where.labels is not None:
        labels = jnp.asarray(where.labels[data.subsets.in_turns(where.labels)])
    x_0 = model.draw(params, key, where.n, steps=steps, churn=settings.churn, cond=labels)
    return types.Batch(jnp.clip(x_0, -1, 1), labels)


def watch(where: Space, settings: Config, recipe: Recipe, model: Model, folder: Run) -> Any:
    """The trio at a checkpoint: generated against held-out and training images, always from the same noise; and a picture."""

    def watching(params: Params) -> dict[str, float]:
        fake = drawn(settings, recipe, model, where, params, jax.random.key(77), max(settings.nfe)).x_0
        gap_pages.while_training(folder, recipe, fake)
        return gap_judges.trio(gap_judges.of(where.features, fake), where)

    return watching


def judge(settings: Config, trained: Trained, *, where: Space, train: Images, test: Images, last: set[str]) -> Findings:
    """Every model at every number of steps; then what the three distances see, and at which blur."""
    floors = {name: (value, None) for name, value in gap_judges.floors(where).items()}
    numbers, rows = [], {}
    judged = lambda batch, key, steps: gap_judges.trio(gap_judges.of(where.features, batch.x_0), where)  # noqa: E731
    for recipe, model in trained.pairs():
        if model.name in last:
            draw = lambda params, key, steps, churn, of=(recipe, model): drawn(settings, *of, where, params, key, steps)  # noqa: E731
            params, key = trained.params[model.name], jax.random.key(2026)
            numbers += judging.sweep(model.name, draw, params, judged, floors, key, nfe=settings.nfe)
            rows[model.name] = draw(params[0], jax.random.key(3), max(settings.nfe), None).x_0
    curves = gap_judges.curves(where, train, test)
    studied = gap_judges.blur_study(curves, where, settings.blurs)
    held_out = image_pages.by_class(test, gap_pages.SHOWN)
    return gap_pages.findings(trained, numbers, where, curves, studied, rows, data.to_float(jnp.asarray(held_out)))


def run(settings: Config) -> None:
    """Train, judge, write the report, print the tables."""
    engine.start(settings)
    with feeds.in_flags():
        train, test = feeds.splits(settings)
        gap_models.require_measurable(train, test)
    features = str(classifiers.folder_of(train))
    planned = gap_models.planned(settings, train.shape, len(train.classes), features, train.digest)
    classifier = classifiers.trained(train, test)
    where = gap_judges.space(
        classifier.features,
        train,
        test,
        blur=settings.blur,
        largest=settings.samples,
        random_classes=not settings.conditional,
    )
    narrow = gap_models.narrow(settings.net, settings.width, train.shape)
    told = train if settings.conditional else replace(train, labels=None, classes=())
    runner.run(
        Experiment(
            "ot_loss",
            [stage.recipe for stage in planned],
            lambda settings, recipe, seed: data.batches(told, settings.batch),
            partial(judge, where=where, train=train, test=test, last={s.recipe.name for s in planned if s.last}),
            partial(watch, where),
            partial(gap_models.start, planned),
            all_watched=True,
            preset=f"{test.name}-{settings.phase}",
            notes=[train.describe(), test.describe(), gap_pages.told(classifier, where), *filter(None, [narrow])],
            facts={"digest": train.digest, "event_shape": list(train.shape), "classes": list(train.classes)},
        ),
        settings,
    )
