"""What the page of an image run shows: its tables' titles, and figures of samples, posteriors, distances and losses."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ddjax import data, denoisers, paths, recipes, runs
from ddjax.data import Images
from ddjax.judging import Number
from ddjax.recipes import Distributional, Model, Recipe
from ddjax.types import Params
from experiments.common import figures
from experiments.common.runner import Trained

TABLES = {
    "frechet pixels": "Fréchet distance, pixels",
    "frechet features": "Fréchet distance, classifier features",
    "FID": "FID, against the training images",
    "kernel distance features": "Kernel distance, classifier features (unbiased, may be negative)",
    "class accuracy": "Class accuracy of conditional samples",
    "precision features": "Precision, classifier features, k = 5",
    "recall features": "Recall, classifier features, k = 5",
    "density features": "Density, classifier features, k = 5",
    "coverage features": "Coverage, classifier features, k = 5",
    "memorisation pixels": "Median distance to the nearest training image, over that of held-out images (near 0: copies)",
}
SHOWN = 12  # images in a row of a grid


def row(recipe: Recipe, model: Model, params: Params, steps: int, churn: float) -> Array:
    """A row of samples, the classes in turns, always of the same noise."""
    labels = jnp.arange(SHOWN, dtype=jnp.int32) % recipe.classes if recipe.classes else None
    told = {"churn": churn, "guidance": recipe.guidance, "cond": labels}
    return model.draw(params, jax.random.key(3), SHOWN, steps=steps, **told)


def while_training(churn: float, recipe: Recipe, model: Model, folder: runs.Run) -> Callable[[Params], dict]:
    """Draw samples at 1 and 4 steps into a picture that is replaced as training goes on; there are no numbers to tell."""

    def watching(params: Params) -> dict[str, float]:
        rows = {figures.steps_of(n): row(recipe, model, params, n, churn) for n in (1, 4)}
        figures.save(figures.grid(rows, model.name), folder.path / f"while-training-{slug(recipe)}.png")
        return {}

    return watching


def drawn(
    trained: Trained, test: Images, numbers: Sequence[Number], *, nfe: Sequence[int], churn: float
) -> dict[str, tuple[Any, str]]:
    """Distances by steps, samples by number of steps, draws of the posterior of a noisy image, losses."""
    shown, rows = {}, {}
    for space in ("pixels", "features"):
        if any(number.metric == f"frechet {space}" for number in numbers):
            label = f"Fréchet distance, {space}"
            shown[f"frechet-{space}.png"] = figures.by_steps(numbers, f"frechet {space}", label), f"{label}, by steps."
    for recipe, model in trained.pairs():
        for n in nfe:
            of_seed = trained.params[model.name][0]
            rows[f"{model.name}, {figures.steps_of(n)}"] = row(recipe, model, of_seed, n, churn)
    rows["held out"] = np.asarray(data.to_float(jnp.asarray(by_class(test, SHOWN))))
    shown["samples.png"] = (
        figures.grid(rows),
        "Samples by number of steps, first seed, classes in turns; last row held-out images.",
    )
    for recipe in trained.recipes:
        if isinstance(recipe, Distributional):
            draws = posterior(recipe, trained.params[recipe.name][0], test)
            caption = "A held-out image, the same with noise, and draws of what it could have been."
            picture = figures.grid(draws, f"{recipe.name}: draws of x_0 given x_t")
            shown[f"posterior-{slug(recipe)}.png"] = picture, caption
    logged = [line for line in runs.read_metrics(trained.folder.path) if line["job"].endswith("seed0")]
    return shown | {"losses.png": (figures.training(logged), "Training losses of the first seed.")}


def by_class(images: Images, n: int) -> np.ndarray:
    """n images in a random order, with their classes in turns, as those of the samples are, where there are classes."""
    rows = data.subsets.order(images.labels, len(images))
    if images.labels is not None:
        rows = rows[data.subsets.in_turns(images.labels[rows])]
    return images.x[rows[:n]]


def posterior(recipe: Recipe, params: Params, test: Images) -> dict[str, np.ndarray]:
    """One held-out image, noisier and noisier, and draws of what it could have been."""
    one, schedule = data.part(test, 1), recipe.noise_schedule()
    x_0, cond = data.to_float(jnp.asarray(one.x)), jnp.asarray(one.labels) if recipe.classes else None
    rows = {}
    for t in (0.3, 0.6, 0.9):
        x_t = paths.interpolate(schedule, x_0, jax.random.normal(jax.random.key(11), x_0.shape), t)
        key, at, size = jax.random.key(12), jnp.full(1, t), SHOWN - 2
        draws = denoisers.population(recipe.predictor(), params, key, x_t, at, cond, size=size)
        rows[f"t = {t}"] = np.concatenate([np.asarray(x_0), np.asarray(x_t), np.asarray(draws[0])])
    return rows


def slug(recipe: Recipe) -> str:
    """The name of a model in names of files."""
    return recipes.job(recipe.name, 0).removesuffix("-seed0")
