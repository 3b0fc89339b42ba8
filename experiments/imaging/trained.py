"""Trained image models, and the images that they were trained and judged on."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ddjax import runs, samplers
from ddjax.cli import UserError
from ddjax.data import Folder, Images
from ddjax.runs import pretrained, saved
from experiments.imaging import feeds, judging
from experiments.imaging.settings import Source


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
    names = [field.name for field in fields(Source) if field.name in settings]  # an older run has fewer
    train, held_out = feeds.splits(Source(**{name: settings[name] for name in names}))
    if isinstance(train, Folder) or isinstance(held_out, Folder):
        raise UserError(f"these images are too many to keep at hand: {train.describe()}")
    return train, feeds.evenly(held_out, most)


def _settings(run: Path | None) -> dict[str, Any]:
    return pretrained.about("digits")["run"] if run is None else runs.read_settings(run)


def drawn(trained: saved.Trained, steps: int, n: int, *, seed: int) -> Array:
    """n samples in so many steps, classes in turns, clipped to the range of images."""
    draw = partial(trained.sample, steps=steps, churn=1.0)

    @jax.jit
    def chunks(params: Any, key: Any) -> Array:
        return samplers.in_chunks(lambda key, n: draw(params, key, n), key, n, chunk=judging.CHUNK)

    return jnp.clip(chunks(trained.params, jax.random.key(seed)), -1, 1)
