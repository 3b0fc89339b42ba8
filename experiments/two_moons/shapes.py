"""The shape of a learned flow: its tracks from noise to data, how straight they are, and how long for their distance."""

from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from ddjax import flows, times
from ddjax.recipes import Recipe
from ddjax.types import Key, Params

STEPS = 50


def track(recipe: Recipe, params: Params, key: Key, *, n: int, guidance: float) -> Array:
    """Samples [STEPS + 1, n, 2] on their way from noise to data, the classes in turns."""
    labels = np.arange(n, dtype=np.int32) % recipe.classes if recipe.classes else None
    draw = jax.jit(partial(recipe.sampler(path=True), guidance=guidance), static_argnums=2)
    return draw(params, key, n, times.grid(STEPS), labels)


def shape(path: Array) -> dict[str, Any]:
    """Straightness of a track, and the median of its length over the distance between its ends."""
    length = flows.path_length(path) / np.linalg.norm(path[-1] - path[0], axis=-1)
    straightness = float(flows.straightness(path, times.grid(STEPS)).mean())
    return {"straightness": straightness, "length_over_distance": float(np.median(length))}
