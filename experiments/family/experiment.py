"""Distributional diffusion, its follow-ups and few-step baselines on the same data."""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from ddjax import judging
from ddjax.recipes import Recipe
from ddjax.runs import engine
from ddjax.types import Batch, Key, Params
from experiments.common import runner
from experiments.common.runner import Experiment, Findings, Trained
from experiments.common.variants import varied
from experiments.family import evaluate as rival_judges
from experiments.family import grids as grid_judges
from experiments.family import report as rival_pages
from experiments.family.presets import COST, VARIED, Preset, of_target, recipe_of
from experiments.family.settings import Config


class Member(NamedTuple):
    """A model: its preset with what varies, as tables call it, the target that it learns, and its recipe."""

    name: str
    target: str
    recipe: Recipe


def members(settings: Config) -> list[Member]:
    """One for each target, preset and variant, in that order: one network, one optimiser, and what a preset changes."""
    rate = {} if settings.learning_rate is None else {"learning_rate": settings.learning_rate}
    models, labels = [], {}
    for target in settings.target:
        shape, tuned = rival_judges.target(target).event, of_target(target)
        for preset in (preset for preset in settings.only if preset in tuned):
            changes = {"steps": _steps(settings, preset)} | tuned[preset] | rate
            models.append(recipe_of(preset, settings, name=f"{preset} on {target}", event_shape=shape, **changes))
            labels[models[-1].name] = preset, target

    def named(name: str, variant: str) -> str:
        preset, target = labels[name]
        labels[with_variant := f"{preset}{variant} on {target}"] = f"{preset}{variant}", target
        return with_variant

    return [Member(*labels[recipe.name], recipe) for recipe in varied(models, settings.vary, VARIED, named)]


def _steps(settings: Config, preset: Preset) -> int:
    return settings.steps if settings.equal == "steps" else round(settings.steps * COST["ddm"] / COST[preset])


def batches(by_name: dict[str, Member], settings: Config, recipe: Recipe, seed: int) -> Any:
    """Fresh points of the model's target for every step."""
    sample = rival_judges.target(by_name[recipe.name].target).sample
    return lambda key: sample(key, settings.batch)


def entries(
    by_name: dict[str, Member], settings: Config, trained: Trained, target: str
) -> Iterator[tuple[str, Any, list[Any], tuple[Any, ...]]]:
    """What is judged on a target: name, sampler, parameters of every seed and churns of each model, then of both oracles."""
    for recipe, model in trained.pairs():
        member = by_name[recipe.name]
        if member.target == target:
            yield member.name, model.draw, trained.params[model.name], rival_judges.churns(recipe, settings.churn)
    for name, draw in rival_judges.oracles(target).items():
        yield name, draw, [None], settings.churn


def judge(by_name: dict[str, Member], settings: Config, trained: Trained) -> Findings:
    """Every preset at every number of steps, and both oracles, on one target after the other; all meet the same noise and data."""
    numbers, titles, clouds, closed, grids = [], {}, {}, {}, {}
    for i, target in enumerate(settings.target):
        truth, chosen = rival_judges.truth(target), rival_judges.distances(target)
        points = rival_judges.points(target, settings.samples)
        key_floor, key_sweep = jax.random.split(jax.random.key(2026 + i))
        floors = rival_judges.floors(target, key_floor, n=points, repeats=settings.repeats)
        judged = judging.against(truth, chosen, blocks=settings.blocks)
        clouds[target] = {}
        for name, draw, params, churn in entries(by_name, settings, trained, target):

            def drawn(
                params: Params, key: Key, steps: int, churn: float | None, draw: Any = draw, points: int = points
            ) -> Batch:
                return rival_judges.vectors(draw(params, key, points, steps=steps, churn=churn))

            key, again = jax.random.clone(key_sweep), jax.random.clone(key_sweep)
            numbers += judging.sweep(name, drawn, params, judged, floors, key, nfe=settings.nfe, churn=churn)
            clouds[target][name] = [
                np.asarray(drawn(params[0], jax.random.clone(again), n, churn[-1]).x_0) for n in settings.nfe
            ]
        keys = jax.random.split(jax.random.key(9), len(settings.nfe))
        clouds[target]["truth"] = [np.asarray(truth(key, rival_pages.SHOWN).x_0) for key in keys]
        titles |= {name: metric.title for name, metric in chosen.items()}
        closed[target] = rival_judges.closed(numbers, target)
        grids |= chosen_grids(by_name, settings, trained, target, jax.random.key(4052 + i))
    first = {name: member.name for name, member in by_name.items() if member.target == settings.target[0]}
    seconds = rival_judges.seconds(settings, trained, first, partial(batches, by_name))
    return rival_pages.findings(trained.folder.path, numbers, titles, clouds, closed, grids, seconds, settings.nfe)


def chosen_grids(
    by_name: dict[str, Member], settings: Config, trained: Trained, target: str, key: Key
) -> dict[str, Any]:
    """Grids chosen for the presets that are asked for, by model."""
    asked = [name for name, member in by_name.items() if member.target == target and member.name in settings.choose]
    return {
        model.name: grid_judges.judged(model.draw, trained.params[model.name], target, jax.random.clone(key))
        for model in trained.models
        if model.name in asked
    }


def run(settings: Config) -> None:
    """Train, judge, write the report, print the tables."""
    engine.start(settings)
    preset = "-".join(settings.target)
    by_name = {member.recipe.name: member for member in members(settings)}
    recipes = [member.recipe for member in by_name.values()]
    runner.run(
        Experiment("family", recipes, partial(batches, by_name), partial(judge, by_name), preset=preset), settings
    )
