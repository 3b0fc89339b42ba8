"""The spread of the learned posteriors beside the exact one."""

from collections.abc import Sequence

import numpy as np

from ddjax import judging
from ddjax.judging import Spread
from ddjax.mixtures import GaussianMixture
from ddjax.recipes import Distributional, Recipe
from ddjax.types import Key, Params


def spreads(
    found: Sequence[Recipe], params: dict[str, list[Params]], mixture: GaussianMixture, key: Key
) -> dict[str, Spread]:
    """The spread of each learned posterior beside the exact one, at 16 times in [.2, .95]."""
    at = np.linspace(0.2, 0.95, 16)
    return {
        recipe.name: judging.spread_curve(
            recipe.predictor(), params[recipe.name], mixture, recipe.noise_schedule(), key, at
        )
        for recipe in found
        if isinstance(recipe, Distributional)
    }
