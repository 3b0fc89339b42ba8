"""Flow matching, couplings, guidance and distributional diffusion on two moons."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ddjax import judging, types
from ddjax.data import toys
from ddjax.recipes import Distributional, Flow, Labels, Mlp, Model, Recipe
from ddjax.runs import Run, engine
from ddjax.types import Batch, Key, Params
from experiments.common import runner
from experiments.common.runner import Experiment, Findings, Trained
from experiments.two_moons import evaluate as moon_judges
from experiments.two_moons import report as moon_pages
from experiments.two_moons import shapes as moon_shapes
from experiments.two_moons.settings import Config

SHOWN, CLASSES, EXACT = 2000, 2, "exact sampler"
COUPLINGS = {"independent": "independent", "blind OT": "blind", "class-aware OT": "aware"}


def recipes_of(settings: Config) -> list[Recipe]:
    """The models of the chosen experiments, in the order of the page: one net, one optimiser, and what differs."""
    size = {"width": settings.width, "depth": settings.depth}
    shared = {"event_shape": (2,), "optimizer": settings.optimizer()}
    flow = partial(Flow, network=Mlp(**size), **shared)
    labels = Labels(classes=CLASSES, label_dropout=settings.dropout, guidance=settings.guidance[0])
    of = {
        "1": [Flow(name="1 time concatenated", network=Mlp(time="raw", **size), **shared)],
        "2": [flow(name="2 sinusoidal time")],
        "3": [flow(name="3 OT coupling", coupling="aware")],
        "4": [flow(name=f"4 {name}", condition=labels, coupling=coupling) for name, coupling in COUPLINGS.items()],
        "ddm": [Distributional(name="DDM", network=Mlp(**size), population=settings.population, **shared)],
    }
    return [recipe for word, some in of.items() if word in settings.exp or "all" in settings.exp for recipe in some]


def ways(recipe: Recipe, settings: Config) -> dict[str, float]:
    """Each way to sample from a model, by its name in tables: the guidance weight."""
    return {f"{recipe.name}, w = {w:g}": w for w in settings.guidance} if recipe.classes else {recipe.name: 1.0}


def drawer(recipe: Recipe, model: Model, *, n: int, guidance: float) -> Any:
    """(params, key, steps, churn) -> samples, half of them of each class where the model has classes."""
    labels = jnp.arange(n, dtype=jnp.int32) % CLASSES if recipe.classes else None

    def drawn(params: Params, key: Key, steps: int, churn: float | None = None) -> Batch:
        return types.Batch(model.draw(params, key, n, steps=steps, cond=labels, churn=churn, guidance=guidance), labels)

    return drawn


def batches(settings: Config, recipe: Recipe, seed: int) -> Any:
    """Fresh moons for every step, with labels where the model eats them."""
    moons = partial(toys.two_moons, n=settings.batch, noise=settings.noise)
    return lambda key: tuple(moons(key)) if recipe.classes else moons(key).x_0


def watch(settings: Config, recipe: Recipe, model: Model, folder: Run) -> Any:
    """Judge averaged parameters at the largest number of steps, always on the same draw."""
    weight = next(iter(ways(recipe, settings).values()))
    draw = drawer(recipe, model, n=moon_judges.BLOCK, guidance=weight)
    return lambda params: moon_judges.at_a_checkpoint(partial(draw, params, steps=max(settings.nfe)), settings.noise)


def judge(settings: Config, trained: Trained) -> Findings:
    """Every way to sample from every model at every number of steps, and the exact sampler."""
    real = partial(moon_judges.truth, noise=settings.noise)
    key_floor, key_judge, key_shape = jax.random.split(jax.random.key(2026), 3)
    labelled = any(recipe.classes for recipe in trained.recipes)
    floors = moon_judges.floors(real, key_floor, labelled=labelled, n=settings.samples, repeats=settings.repeats)
    judged_by = partial(moon_judges.judge, real, last=max(settings.nfe), blocks=settings.blocks)
    numbers, clouds, shapes, tracks = [], {}, {}, {}
    for recipe, model in trained.pairs():
        params = trained.params[model.name]
        for name, weight in ways(recipe, settings).items():
            key_judge, key = jax.random.split(key_judge)
            drawn = drawer(recipe, model, n=settings.samples, guidance=weight)
            judged = judged_by(labelled=bool(recipe.classes))
            numbers += judging.sweep(name, drawn, params, judged, floors, key, nfe=settings.nfe)
            clouds[name] = [moon_pages.shown(drawn(params[0], jax.random.key(9), n), SHOWN) for n in settings.nfe]
        (name, weight), *_ = ways(recipe, settings).items()
        path = moon_shapes.track(recipe, params[0], jax.random.clone(key_shape), n=SHOWN, guidance=weight)
        shapes |= {name: moon_shapes.shape(path)} if isinstance(recipe, Flow) else {}
        tracks[name] = np.asarray(path)
    exact = lambda _, key, steps, churn: moon_judges.exact_sampler(key, settings.samples, noise=settings.noise)  # noqa: E731
    nothing = [None] * settings.seeds
    keys = jax.random.split(jax.random.key(9), len(settings.nfe))
    clouds[EXACT] = [
        moon_pages.shown(exact(None, key, n, None), SHOWN) for key, n in zip(keys, settings.nfe, strict=True)
    ]
    numbers += judging.sweep(EXACT, exact, nothing, judged_by(labelled=False), floors, key_judge, nfe=settings.nfe)
    return moon_pages.findings(trained, numbers, floors, shapes, moon_pages.Shown(clouds, tracks, settings.nfe), EXACT)


def run(settings: Config) -> None:
    """Train, judge, write the report, print the tables."""
    engine.start(settings)
    family = Experiment("two_moons", recipes_of(settings), batches, judge, watch, preset="-".join(settings.exp))
    runner.run(family, settings)
