"""The search behind the presets of the few-step family: every preset gets the same trials, on the same data, by the same rule.

One target, one seed that no table has. Trials go one setting at a time: a change is kept if the mean logarithm of W_1 at 1, 2 and 4
steps falls: a choice, and no test; fresh seeds say what it is worth. What came of it is `experiments.family.presets.TUNED`.
"""

import time
from typing import Any

import jax
import numpy as np

from ddjax import judging, networks, recipes, training
from ddjax.recipes import Recipe
from ddjax.runs import jobs
from ddjax.types import Params
from experiments.common import report, study
from experiments.common.runner import Findings
from experiments.family import evaluate as rival_judges
from experiments.family.presets import OF_IMAGES, START, TRIALS, Preset, recipe_of
from experiments.family.settings import Config as Family
from experiments.family.settings import Tuning

NFE = (1, 2, 4)
SEED = 100  # of training; tables have 0, 1, 2, ...


def trained(recipe: Recipe, target: str, seed: int, warm: Params | None = None) -> Params:
    """Averaged parameters after the recipe's steps; `warm` are those of a mean denoiser from which training goes on."""
    model, sample = recipes.build(recipe), rival_judges.target(target).sample
    state = jobs.initial_state(model.network, model.optimizer, seed)
    if warm is not None:
        state = training.TrainState.create(networks.from_mean(state.params, warm), model.optimizer, state.key)
    train_step = training.make_train_step(model.loss_fn, model.optimizer, ema_decay=recipe.optimizer.ema_decay)
    batch = jax.tree_util.Partial(lambda key: sample(key, Family.batch))
    return training.fit(state, train_step, batch, steps=recipe.optimizer.steps, save_every=100, label=None).ema


def error(recipe: Recipe, params: Params, target: str, seed: int, blocks: int) -> list[float]:
    """W_1 at each number of steps."""
    model = recipes.build(recipe)
    key_draw, key_truth = jax.random.split(jax.random.key(seed))
    metric = rival_judges.distances(target)[f"w1 {target}"]
    real = rival_judges.truth(target)(key_truth, blocks * metric.points)  # pyright: ignore[reportOperatorIssue]
    return [
        judging.in_blocks(metric, real, rival_judges.vectors(model.draw(params, key, len(real.x_0), steps=n)), blocks)
        for n, key in zip(NFE, jax.random.split(key_draw, len(NFE)), strict=True)
    ]


def tuned(config: Tuning, preset: Preset) -> tuple[dict[str, Any], list[list[str]]]:
    """The best settings found, and a row of words for each trial."""
    common = {"name": preset, "event_shape": rival_judges.target(config.target).event, "steps": config.steps}
    best, least, rows = START, np.inf, []
    for trial in ({}, *TRIALS[preset]):
        try:
            recipe = recipe_of(preset, Family(), **common | best | trial)
            params = trained(recipe, config.target, SEED)
            found = error(recipe, params, config.target, SEED, config.blocks)
        except FloatingPointError:
            found = [np.inf] * len(NFE)
        total = float(np.mean(np.log(found)))
        kept = total < least
        if kept:
            best, least = best | trial, total
        told = ", ".join(f"{name} {value}" for name, value in trial.items()) or "start"
        rows.append([preset, told, *(f"{value:.3f}" for value in found), "kept" if kept else ""])
        print(*rows[-1], flush=True)
    return best, rows


def run(config: Tuning) -> None:
    """Tune one preset after the other, write, print."""
    began = time.monotonic()
    folder = study.folder(config, "family_tuning")
    asked = [preset for preset in config.only if preset not in OF_IMAGES or config.target == "digits"]
    found = {preset: tuned(config, preset) for preset in asked}
    heads = ["preset", "trial", *(f"W₁, {n} step{'s' * (n > 1)}" for n in NFE), ""]
    rows = [row for _, rows in found.values() for row in rows]
    title = f"Every trial on {config.target.replace('_', ' ')}, one seed"
    verdict = "; ".join(
        f"{preset}: {sum(row[-1] == 'kept' for row in rows)} of {len(rows)} trials kept, W₁ in {NFE[-1]} steps {rows[0][-2]} to "
        f"{[row for row in rows if row[-1]][-1][-2]} on the data of the search"
        for preset, (_, rows) in found.items()
    )
    summary = {"tuned": {preset: best for preset, (best, _) in found.items()}, "trials": rows}
    told = Findings([], {}, "", summary, tables=[report.plain(title, heads, rows, "lower is better")], verdict=verdict)
    study.write(folder, "family_tuning", config, told, began)
