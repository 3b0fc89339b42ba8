"""The curse of conditions: eight Gaussians to two moons, with and without a condition, under three couplings.

Protocol of Cheng and Schwing, arXiv 2503.10636, figure 1: MLP 3 x 128, Adam 3e-4, batch 256; sampled by one Euler step and
by an adaptive solver. Theirs trains 20,000 steps and couples batches of 1,024; here the training batch itself is coupled.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from ddjax import cli
from ddjax.cli.settings import Count, Depth, Fraction, Multiple, NonNegative, Positive, Range, Seeds
from ddjax.recipes import Flow, Labels, Mlp, Numbers, Recipe, part
from ddjax.recipes.conditions import Condition
from ddjax.runs import engine
from experiments.common import runner
from experiments.common.runner import Experiment, Findings, Trained
from experiments.common.settings import Training
from experiments.lazy import condition_judges, condition_pages, toys

if TYPE_CHECKING:
    from ddjax.types import Key


@dataclass(frozen=True)
class Config(Training, Mlp):
    """Train {no, class, x} condition x {independent, OT, condition-aware OT} and print W_2 of each.

    Minibatch OT that does not see the condition makes the start depend on it, and sampling does not: the model is wrong by
    construction, however long it trains. Writes summary.json, flows.png, report.html and checkpoints into --out.

    Example: python -m experiments.conditional_ot --steps 500 --out runs/conditions
    """

    seeds: Seeds = 2
    steps: Count = 4000
    batch: Count = 256
    """Examples for each training step, and for each coupling."""
    depth: Depth = 3
    learning_rate: Positive = 3e-4
    """Rate of Adam, constant."""
    noise: NonNegative = 0.2
    """Standard deviation around the moons, before they are scaled to 3 x - 1."""
    share: Fraction = 0.99
    """Share of pairs that keep their x condition (condition-aware OT for a continuous condition)."""
    samples: Annotated[int, Multiple(2)] = 1000
    """Points of each W_2, half for each moon."""
    repeats: Annotated[int, Range(5)] = 5
    """Draws behind each number, and pairs behind each floor."""
    tolerance: Positive = 1e-3
    """Tolerance of the adaptive solver."""
    full: bool = False
    """The published budget: 20,000 steps, 5 seeds (explicit flags still win)."""

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once: a cost matrix."""
        return super().floats() | {("batch",): self.batch**2, ("samples",): self.samples**2}


PRESETS = {"full": {"steps": 20_000, "seeds": 5}}
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


if __name__ == "__main__":
    cli.main(Config, run, presets=PRESETS)
