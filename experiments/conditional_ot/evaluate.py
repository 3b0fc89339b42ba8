"""Distances under conditions: what a model is told of the data, W_2 to what belongs to that, and how the couplings rank."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ddjax import denoisers, flows, metrics
from ddjax.data import toys
from ddjax.recipes import Model, Recipe
from ddjax.types import Batch, Key, Params

WAYS = ("Euler, 1 step", "adaptive")


def data(key: Key, n: int, *, noise: float) -> Batch:
    """Two moons scaled to 3 x - 1, the target, with labels in turns."""
    points, labels = toys.two_moons(key, n, noise=noise)
    turns = jnp.argsort(labels).reshape(2, -1).T.reshape(-1)
    return Batch(3 * points[turns] - 1, labels[turns])


def told_to(recipe: Recipe, batch: Batch) -> Array | None:
    """What a model is told of the data: nothing, the label, or the x coordinate of the target itself."""
    return batch.cond if recipe.classes else batch.x_0[:, :1] if recipe.cond_size else None


def distance(recipe: Recipe, real: Batch, told: Batch, x_0: Array) -> float:
    """W_2 to the data that belongs to the condition: within each class; jointly with x, to the very points whose x was told."""
    w_2 = partial(metrics.wasserstein, p=2.0)
    if recipe.classes:
        return float(sum(metrics.per_class(w_2, *real, x_0, told.cond, classes=2)) / 2)
    if recipe.cond_size:
        x = told_to(recipe, told)
        return float(w_2(jnp.concatenate([told.x_0, x], 1), jnp.concatenate([x_0, x], 1)))
    return float(w_2(real.x_0, x_0))


def cell(
    recipe: Recipe, model: Model, params: list[Params], *, samples: int, repeats: int, noise: float, tolerance: float
) -> dict[str, Any]:
    """W_2 for each way to sample and each seed (mean over draws), and the solver's calls for each sample."""
    velocity = recipe.predictor()

    @jax.jit
    def solve(params: Params, key: Key, x_1: Array, cond: Array | None) -> flows.Solution:
        field = denoisers.bind(velocity, params) if cond is None else partial(_told, velocity, params)
        return flows.integrate(field, key, x_1, cond=cond, tolerance=tolerance)

    distances, calls, lost = {way: [] for way in WAYS}, [], 0
    for of_seed in params:
        drawn = {way: [] for way in WAYS}
        for key in jax.random.split(jax.random.key(2026), repeats):
            key_real, key_cond, key_start, key_flow = jax.random.split(key, 4)
            real, told = (data(k, samples, noise=noise) for k in (key_real, key_cond))
            cond, x_1 = told_to(recipe, told), toys.eight_gaussians(key_start, samples).x_0
            solution = solve(of_seed, key_flow, x_1, cond)
            calls.append(6 * float(solution.steps.mean()))
            lost += int((~solution.converged).sum())
            one_step = model.draw(of_seed, jax.random.clone(key), samples, steps=1, cond=cond)
            for way, x_0 in zip(WAYS, (one_step, solution.x), strict=True):
                drawn[way].append(distance(recipe, real, told, x_0))
        for way in WAYS:
            distances[way].append(float(np.mean(drawn[way])))
    return distances | {"adaptive calls": float(np.mean(calls)), "not converged": lost}


def _told(velocity: Any, params: Params, key: Key, x_t: Array, t: Array, cond: Array) -> Array:
    return velocity(params, key, x_t, t, cond)


def floor(recipe: Recipe, *, samples: int, repeats: int, noise: float) -> list[float]:
    """W_2 of the truth sampled under the same conditions, mean and standard deviation over draws."""
    values = []
    for key in jax.random.split(jax.random.key(7), repeats):
        key_real, key_told, key_pool = jax.random.split(key, 3)
        real, told = (data(k, samples, noise=noise) for k in (key_real, key_told))
        exact = told.x_0
        if recipe.cond_size:  # the nearest x among many: a draw of y given x
            pool = np.asarray(data(key_pool, 200_000, noise=noise).x_0)
            pool = pool[np.argsort(pool[:, 0])]
            exact = jnp.asarray(pool[np.searchsorted(pool[:-1, 0], np.asarray(told.x_0[:, 0]))])
        values.append(distance(recipe, real, told, exact))
    return [float(np.mean(values)), float(np.std(values, ddof=1))]


def orders(cells: dict[str, dict[str, Any]]) -> dict[str, str]:
    """In how many seeds condition-aware OT is best and blind OT worst, for each condition and way to sample."""
    told = {}
    for condition in ("class", "x coordinate"):
        for way in WAYS:
            couplings = ("independent", "OT", "condition-aware OT")
            free, blind, aware = (np.array(cells[f"{condition}, {name}"][way]) for name in couplings)
            whole, worse = int(((aware < free) & (free < blind)).sum()), int((aware < blind).sum())
            told[f"{condition}, {way}"] = (
                f"condition-aware < independent < OT in {whole} of {len(aware)} seeds, condition-aware < OT in {worse}"
            )
    return told
