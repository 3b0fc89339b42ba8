"""Run folders as training leaves them, without the training."""

import jax
import numpy as np

from ddjax import recipes, runs
from ddjax.runs import jobs, saved
from ddjax.training import checkpoints


def a_run(path, name, config, found, **facts):
    """Seed 0 of every recipe, its parameters moved off zero: {job: (recipe, averaged parameters)}."""
    folder = runs.open_run(name, config, path, facts=saved.settings_of(found) | facts)
    draw, made = np.random.default_rng(1).normal, {}
    for recipe in found:
        job, model = recipes.job(recipe.name, 0), recipes.build(recipe)
        state = jobs.initial_state(model.network, model.optimizer, 0)
        ema = jax.tree.map(lambda leaf: leaf + 0.3 * draw(size=leaf.shape).astype(np.float32), state.ema)
        with checkpoints.manager(folder.checkpoints(job), job=folder.owner(job)) as manager:
            checkpoints.save(manager, state._replace(ema=ema))
        made[job] = (recipe, ema)
    return made
