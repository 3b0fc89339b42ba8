"""A trained model of a saved run, rebuilt from the recipes that the run keeps with its settings."""

from pathlib import Path
from typing import Any

import jax.numpy as jnp

from ddjax import denoisers, recipes
from ddjax.types import Denoise, Key, Params
from experiments import jobs


def load(path: Path, settings: dict[str, Any], name: str | None) -> jobs.Trained:
    """A trained model, ready to sample, its classes in turns where it has them, at the recipe's guidance.

    Args:
        name: of the job, for instance "ddm-beta1-seed0"; None takes the first.
    Raises: ValueError for a name that the run does not have; FileNotFoundError where no intact checkpoint is left.
    """
    found = [recipes.read(values) for values in settings["models"]]
    by_job = {recipes.job(recipe.name, seed): recipe for recipe in found for seed in range(settings["seeds"])}
    models = {job: recipes.build(recipe) for job, recipe in by_job.items()}
    networks = {job: model.network for job, model in models.items()}
    name, params = jobs.trained(path, networks, next(iter(models.values())).optimizer, name)
    recipe = by_job[name]
    model = recipes.predictor(recipe)
    if recipe.guidance != 1:
        model = denoisers.guided(model, recipe.guidance, null=recipe.classes)

    def denoise(params: Params) -> Denoise:
        def in_turns(key: Key, x_t: jnp.ndarray, t: jnp.ndarray) -> jnp.ndarray:
            n = x_t.shape[0]  # a symbol where the sampler is exported
            labels = jnp.arange(n, dtype=jnp.int32) % recipe.classes if recipe.classes else None
            return model(params, key, x_t, t, labels)

        return in_turns

    names = tuple(settings.get("classes") or map(str, range(recipe.classes)))
    return jobs.Trained(name, params, denoise, recipes.SCHEDULE, recipe.event_shape, recipe.kind == "flow", names)


def settings_of(found: list[recipes.Recipe]) -> dict[str, Any]:
    """What a run keeps of its recipes."""
    return {"models": [recipes.stored(recipe) for recipe in found]}
