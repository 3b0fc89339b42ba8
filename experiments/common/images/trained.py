"""Trained image models, and the images that they were trained and judged on."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ddjax import data, runs
from ddjax.cli import UserError
from ddjax.cli.settings import check
from ddjax.data import Folder, Images
from ddjax.runs import pretrained, saved
from experiments.common.images import evaluate as judging
from experiments.common.images import feeds
from experiments.common.images.settings import Source


def load(run: Path | None, model: str | None) -> saved.Trained:
    """A model of a run of images, the first for None; without a run the pretrained digits.

    Raises: UserError as `saved.load`, for a run of other data, and for a flow, whose samples need another sampler.
    """
    trained = pretrained.load("digits") if run is None else saved.load(run, model)
    if trained.flow or "data" not in _settings(run):
        raise UserError(f"a denoiser of images is wanted, which {trained.job} is not")
    return trained


def splits(run: Path | None, most: int) -> tuple[Images, Images]:
    """The training images of a run, and at most so many held-out ones. Raises: UserError for a set that stays on disk."""
    settings = _settings(run)
    known = {field.name: settings[field.name] for field in fields(Source) if field.name in settings}
    source = Source(**known)  # what an older run does not know, at its default
    check(source)
    train, held_out = feeds.splits(source)
    if isinstance(train, Folder) or isinstance(held_out, Folder):
        raise UserError(f"these images are too many to keep at hand: {train.describe()}")
    return train, data.part(held_out, most)


def _settings(run: Path | None) -> dict[str, Any]:
    return pretrained.about("digits")["run"] if run is None else runs.read_settings(run)


def drawn(trained: saved.Trained, train: Images, steps: int, n: int, *, seed: int) -> Array:
    """n samples in so many steps, of the classes of the training images in their proportions, clipped to the range of images."""
    labels = jnp.asarray(data.subsets.labels_like(train.labels, n)) if trained.recipe.classes else None
    key = jax.random.key(seed)
    return jnp.clip(trained.draw(key, labels, n, steps=steps, churn=1.0, chunk=judging.CHUNK), -1, 1)
