"""Distributional diffusion beside regression on images."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp

from ddjax import cli, data, judging, recipes, types
from ddjax.data import Folder, Images
from ddjax.runs import engine
from ddjax.types import Batch, Key, Params
from experiments.common import runner
from experiments.common.images import evaluate as image_judges
from experiments.common.images import feeds, models
from experiments.common.images import report as image_pages
from experiments.common.images import spaces as image_spaces
from experiments.common.runner import Experiment, Findings, Trained
from experiments.images import checks as image_checks
from experiments.images.settings import Config


def judge(
    settings: Config, trained: Trained, *, train: Images | Folder, held_out: Images | Folder, copies: str
) -> Findings:
    """Every model at every number of steps, in pixels and in features."""
    if not feeds.streamed(train, settings):  # the floor is of as many training images: there must be so many
        settings = replace(settings, samples=min(settings.samples, len(train)))
    seen, test = feeds.judged(train, settings), data.part(held_out, settings.samples)  # equal numbers: no bias of n
    judges = image_spaces.of(seen, test, settings.inception)
    floors = {name: (value, None) for name, value in image_judges.floors(judges, seen, test, settings.samples).items()}
    judged = lambda batch, key, steps: image_judges.judge(batch, judges)  # noqa: E731
    numbers = []
    for recipe, model in trained.pairs():

        def drawn(params: Params, key: Key, steps: int, churn: float, recipe=recipe, model=model) -> Batch:
            key_labels, key_draw = jax.random.split(key)
            labels = image_judges.labels_like(train, key_labels, settings.samples)
            told = {"cond": None if labels is None else jnp.asarray(labels), "guidance": recipe.guidance}
            x_0 = model.draw(params, key_draw, settings.samples, steps=steps, churn=settings.churn, **told)
            return types.Batch(jnp.clip(x_0, -1, 1), labels)

        key, params = jax.random.key(2026), trained.params[model.name]
        numbers += judging.sweep(model.name, drawn, params, judged, floors, key, nfe=settings.nfe)
    sizes = {"n": settings.samples, "test": len(test), "train": min(settings.samples, len(seen)), "all": len(train)}
    protocol = image_spaces.PROTOCOL.format(ema=settings.ema_decay, **sizes)
    return Findings(
        numbers,
        image_pages.TABLES,
        "value is the median over seeds; low and high are the smallest and largest seed",
        {
            "data": [train.describe(), held_out.describe(), seen.attribution, copies],
            "classes": list(train.classes),
            "digest": {"train": train.digest, "test": held_out.digest},
            "parameters": {model.name: recipes.parameters(model) for model in trained.models},
            "protocol": protocol,
        },
        image_pages.drawn(trained, test, numbers, nfe=settings.nfe, churn=settings.churn),
        notes=[*filter(None, (seen.attribution, copies)), protocol],
        warnings=image_spaces.too_few(judges, settings.samples),
    )


def run(settings: Config) -> None:
    """Train, judge, write the report, print the tables."""
    engine.start(settings)
    image_checks.require_bfloat16(settings, jax.local_devices()[0])
    print(cli.message(f"reading --data {settings.data}"), flush=True)
    with feeds.in_flags():
        train, held_out = feeds.load(settings)
        image_checks.require_judgeable(train, held_out, settings)
        copies = image_checks.copies(train, held_out, settings)
        notes = (
            image_checks.chosen(settings, train.shape),
            train.describe(),
            held_out.describe(),
            feeds.told(train, settings),
            copies,
        )
        family = Experiment(
            "images",
            models.recipes_of(settings, train.shape, len(train.classes)),
            lambda settings, recipe, seed: feeds.batches(train, settings, seed),
            partial(judge, train=train, held_out=held_out, copies=copies),
            lambda settings, *of: image_pages.while_training(settings.churn, *of),
            chunk=image_judges.CHUNK,
            preset=settings.preset or "digits",
            notes=[line for line in notes if line],
            facts={"event_shape": list(train.shape), "classes": list(train.classes)},
        )
        runner.run(family, settings)
