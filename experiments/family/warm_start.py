"""What a trained classical denoiser is worth to a distributional one: the same net, and xi joins with weights of zero.

Ways to the preset `ddm` of `experiments.family`: from scratch for as many steps as the warm one, for as long as the warm one with
the regression before it, for the whole budget; and from the regression of `ddpm` after its whole budget, xi in a layer of its
or behind a gate.
"""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from ddjax import judging
from experiments.common import report, study, verdicts
from experiments.common.runner import Findings
from experiments.family import evaluate as rival_judges
from experiments.family.presets import COST, TUNED, recipe_of
from experiments.family.settings import Config as Family
from experiments.family.settings import WarmStart
from experiments.family.tuning import NFE, error, trained

WARM = "regression, then DDM"
HEADS = ["model", "DDM steps", *(f"W₁, {n} step{'s' * (n > 1)}" for n in NFE)]


class Way(NamedTuple):
    """DDM's steps, whether the regression is before them, and whether xi is behind a gate."""

    steps: int
    warm: bool = False
    gate: bool = False


def ways(config: WarmStart) -> dict[str, Way]:
    """All ways by their names."""
    few = max(config.steps // config.share, 1)
    return {
        "DDM, as many steps": Way(few),
        "DDM behind a gate, as many steps": Way(few, gate=True),
        WARM: Way(few, warm=True),
        "regression, then DDM behind a gate": Way(few, warm=True, gate=True),
        "DDM, as much time": Way(few + round(config.steps * COST["ddpm"] / COST["ddm"])),
        "DDM, the whole budget": Way(config.steps),
    }


def measured(config: WarmStart, seed: int) -> Iterator[tuple[str, list[float]]]:
    """W_1 at each number of steps of the regression and of every way; all meet the same noise and data."""

    def recipe(preset: Any, steps: int, gate: bool = False) -> Any:
        changes = TUNED[preset] | {"steps": steps} | ({"gate": True} if gate else {})
        return recipe_of(preset, Family(), name=preset, event_shape=rival_judges.target(config.target).event, **changes)

    def told(model: Any, params: Any) -> list[float]:
        return error(model, params, config.target, seed, config.blocks)

    regression = recipe("ddpm", config.steps)
    mean = trained(regression, config.target, seed)
    yield "regression alone", told(regression, mean)
    for way, (steps, warm, gate) in ways(config).items():
        model = recipe("ddm", steps, gate)
        yield way, told(model, trained(model, config.target, seed, mean if warm else None))


def rows(found: dict[str, list[list[float]]], steps: dict[str, int]) -> list[list[str]]:
    """Medians of the seeds and their range."""

    def cell(values: Any) -> str:
        return f"{np.median(values):.3f} ({min(values):.3f}, {max(values):.3f})"

    return [[way, f"{steps.get(way, 0):,}", *map(cell, zip(*of, strict=True))] for way, of in found.items()]


def verdict(found: dict[str, list[list[float]]], floor: Any) -> str:
    """How near the floor the best way comes in four steps, beside the whole budget from scratch."""
    numbers = [
        judging.measured(way, "w1", n, np.array([of_seed[i] for of_seed in of])[:, None], floor)
        for way, of in found.items()
        for i, n in enumerate(NFE)
    ]
    return verdicts.by_steps(numbers, "W₁", rival="whole budget")


def run(config: WarmStart) -> None:
    """Train every way with every seed, write, print."""
    began = time.monotonic()
    folder = study.folder(config, "warm_start")
    found: dict[str, list[list[float]]] = {}
    for seed in range(config.seeds):
        for way, values in measured(config, seed):
            found.setdefault(way, []).append(values)
            print(seed, way, *(f"{value:.3f}" for value in values), flush=True)
    floor = rival_judges.floors(config.target, jax.random.key(2026), n=1000, repeats=16)[f"w1 {config.target}"]
    warm = found[WARM]
    above = {
        way: [judging.paired([s[i] for s in of], [s[i] for s in warm]) for i in range(len(NFE))]
        for way, of in found.items()
        if way != WARM
    }
    steps = {way: of.steps for way, of in ways(config).items()}
    title = f"{config.target.replace('_', ' ')}, {config.seeds} seeds: W₁, floor {floor.mean:.3f} ± {floor.std:.3f}"
    summary = {
        "w1": found,
        "steps": steps,
        "floor": list(floor),
        "above_warm": {way: list(map(list, of)) for way, of in above.items()},
    }
    table = report.plain(title, HEADS, rows(found, steps), "lower is better")
    told = Findings([], {}, "", summary, tables=[table], verdict=verdict(found, floor))
    study.write(folder, "warm_start", config, told, began)
