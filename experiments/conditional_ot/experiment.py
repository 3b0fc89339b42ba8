"""Eight Gaussians to two moons with a condition, under three couplings."""

from functools import partial
from typing import Any

from ddjax.data import toys
from ddjax.recipes import Flow, Labels, Mlp, Numbers, Recipe, part
from ddjax.recipes.conditions import Condition
from ddjax.runs import engine
from ddjax.types import Key
from experiments.common import runner
from experiments.common.runner import Experiment, Findings, Trained
from experiments.conditional_ot import evaluate as condition_judges
from experiments.conditional_ot import report as condition_pages
from experiments.conditional_ot.settings import Config

CONDITIONS: dict[str, Condition | None] = {
    "unconditional": None,
    "class": Labels(classes=2),
    "x coordinate": Numbers(cond_size=1),
}
COUPLINGS = {"independent": "independent", "OT": "blind", "condition-aware OT": "aware"}


def recipes_of(settings: Config) -> list[Recipe]:
    """Every condition under every coupling that differs for it."""
    shared = {"event_shape": (2,), "prior": "eight_gaussians", "network": part(Mlp, settings)}
    return [
        Flow(
            name=f"{condition}, {name}",
            condition=value,
            coupling=coupling,
            share=settings.share if coupling == "aware" and isinstance(value, Numbers) else Flow.share,
            optimizer=settings.optimizer(),
            **shared,
        )
        for condition, value in CONDITIONS.items()
        for name, coupling in COUPLINGS.items()
        if value or coupling != "aware"  # without a condition there is nothing to be aware of
    ]


def batches(settings: Config, recipe: Recipe, seed: int) -> Any:
    """Fresh moons for every step, with what the model is told of them."""

    def batch(key: Key) -> Any:
        drawn = toys.two_moons(key, settings.batch, noise=settings.noise)
        drawn = drawn._replace(x_0=3 * drawn.x_0 - 1)
        cond = condition_judges.told_to(recipe, drawn)
        return drawn.x_0 if cond is None else (drawn.x_0, cond)

    return batch


def judge(settings: Config, trained: Trained) -> Findings:
    """W_2 of every cell, with the floors of its condition and the order of the couplings."""
    size = {"samples": settings.samples, "repeats": settings.repeats, "noise": settings.noise}
    judged = partial(condition_judges.cell, tolerance=settings.tolerance, **size)
    cells = {model.name: judged(recipe, model, trained.params[model.name]) for recipe, model in trained.pairs()}
    free = [recipe for recipe in trained.recipes if isinstance(recipe, Flow) and recipe.coupling == "independent"]
    floors = {recipe.name.split(", ")[0]: condition_judges.floor(recipe, **size) for recipe in free}
    summary = {"cells": cells, "floors": floors, "orders": condition_judges.orders(cells)}
    caption = "Flows of seed 0: grey where they start, coloured by the told moon where they end."
    return Findings(
        [],
        {},
        "the smallest and largest seed; values are medians over seeds",
        summary,
        {"flows.png": (condition_pages.picture(trained), caption)},
        notes=[
            "class: mean over classes. x coordinate: W₂ of (sample, condition) jointly, to the points whose x was told; its "
            "floor is that of exact draws of y given x.",
            *(f"{order}: {told}" for order, told in summary["orders"].items()),
        ],
        tables=[condition_pages.table(summary)],
        verdict=condition_pages.verdict(summary),
    )


def run(settings: Config) -> None:
    """Train, judge, write the report, print the table."""
    engine.start(settings)
    preset = "full" if settings.full else "default"
    runner.run(Experiment("conditional_ot", recipes_of(settings), batches, judge, preset=preset), settings)
