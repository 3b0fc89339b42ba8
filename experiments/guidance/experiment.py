"""Guidance of a conditional image model at few steps."""

import time

import jax.numpy as jnp

from ddjax import cli, data
from experiments.common import study
from experiments.common.images import spaces as image_spaces
from experiments.common.images import trained as trained_images
from experiments.guidance import evaluate as guidance_judges
from experiments.guidance import report as guidance_pages
from experiments.guidance.settings import Config


def run(config: Config) -> None:
    """Load, sample every way, judge, write, print."""
    began = time.monotonic()
    trained = trained_images.load(config.run, config.model)
    if not trained.recipe.classes:
        raise cli.UserError(f"guidance is of a model with classes, of which {trained.job} has none")
    train, held_out = trained_images.splits(config.run, config.samples)
    folder = study.folder(config, "guidance")
    judges = image_spaces.of(train, held_out)
    rows = guidance_judges.judged_ways(trained, config, judges, train, held_out)
    seen = data.part(train, config.samples)
    floor = guidance_judges.judged(data.to_float(jnp.asarray(seen.x)), seen.labels, judges, held_out.labels)
    shown = guidance_pages.shown(trained, config.weights, config.nfe)
    study.write(folder, "guidance", config, guidance_pages.findings(rows, floor, shown, trained), began)
