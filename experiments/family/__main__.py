"""Distributional diffusion, its follow-ups and its few-step rivals on one bench: the same net, the same optimiser steps.

Presets are recipes with a name. Each is trained on each target with each seed, judged at every number of steps against fresh data,
and stands between two oracles: the exact posterior, and the exact mean, which no classical model can beat at its number of steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ddjax import cli
from ddjax.cli.settings import MAY_BE_EMPTY, Count, Fraction, Positive, Range, Seeds, Steps
from ddjax.runs import engine
from experiments.common import runner
from experiments.common.runner import Experiment, Findings, Trained
from experiments.common.settings import Training
from experiments.common.variants import variants, varied
from experiments.family.presets import COST, DEFINED, VARIED, Preset, of_target, recipe_of
from experiments.lazy import grid_judges, jax, judging, np, rival_judges, rival_pages

if TYPE_CHECKING:
    from ddjax.recipes import Recipe
    from ddjax.types import Batch, Key, Params

TargetName = Literal["two_gaussians", "eight_gaussians", "moons", "checkerboard", "forty", "digits"]


@dataclass(frozen=True)
class Config(Training):
    """Train every preset on every target, and judge all at 1 to 50 steps beside both oracles.

    ddm: the energy score of m = 4 draws. iddm: beta and lam over time, norms by position, late xi. sddm: CRPS and squared error
    by element. ddm-imq, -rbf, -exp: kernel scores. ddm-patched, of digits alone: patches beside the whole image. fm, fm-ot: flow
    matching, without and with transport. ddpm: regression. consistency, mean-flow, imf: the rivals. Writes config.yaml,
    metrics.jsonl, summary.json, figures, report.html and checkpoints into --out.

    Example: python -m experiments.family --target moons --only ddm imf --steps 500
    """

    target: tuple[TargetName, ...] = ("two_gaussians", "moons")
    """What to learn: laws in the plane, or digits of 8 x 8 pixels."""
    only: tuple[Preset, ...] = tuple(DEFINED)
    """Presets to train, each on the targets that it was tuned for."""
    vary: Annotated[tuple[str, ...], MAY_BE_EMPTY] = ()
    """Variants beside every preset that has the setting: `beta=.5,1.5 lam=.5+beta=1` adds three to ddm."""
    equal: Literal["steps", "seconds"] = "steps"
    """What all presets train for: --steps each, or the time in which ddm makes them (`presets.COST`)."""
    seeds: Seeds = 5
    steps: Count = 5000
    batch: Count = 256
    depth: Annotated[int, Range(3, 1000)] = 3
    """Number of hidden layers."""
    learning_rate: Positive | None = None
    """Peak rate of the optimiser, after a warm-up and before a cosine decay to 1 percent (default: each preset's own)."""
    warmup: Annotated[int, Range(0)] | None = 100
    clip: Positive | None = 1.0
    nfe: tuple[Steps, ...] = (1, 2, 4, 8, 16, 50)
    """Numbers of sampling steps to judge."""
    churn: tuple[Fraction, ...] = (1.0,)
    """Noise of the bridge of distributional and regression models: 0 is DDIM, 1 is DDPM."""
    samples: Annotated[int, Range(1000)] = 10_000
    """Points for each measured distance (W_1 takes blocks of 1,000 of them); of digits as many as are held out."""
    blocks: Count = 5
    """Blocks of 1,000 points behind each W_1."""
    repeats: Annotated[int, Range(5)] = 16
    """Pairs of fresh true samples behind each floor."""
    choose: Annotated[tuple[Preset, ...], MAY_BE_EMPTY] = ()
    """Presets whose grids of 2 to 8 sampling times are chosen, on the first seed, and judged on the others."""
    short: bool = False
    """A look at every preset: one target, one seed, 1,000 steps (explicit flags still win)."""

    def check(self) -> None:
        """Raises: UserError for variants of nothing, presets without a target that suits one of them, costs of steps that were
        not measured, or grids of models that are not trained or have no other seed to be judged on.
        """
        super().check()
        variants(self.vary, VARIED)
        if self.equal == "seconds" and "digits" in self.target:
            raise cli.UserError("--equal seconds goes by the steps' costs in the plane: leave digits out of --target")
        if self.choose and self.seeds < 2:
            raise cli.UserError("--choose judges grids on other seeds than the first: take --seeds 2 or more")
        if absent := sorted(set(self.choose) - set(self.only)):
            raise cli.UserError(f"--choose {absent[0]} is not among the presets of --only")
        if not any(preset in of_target(target) for target in self.target for preset in self.only):
            on = "digits" in self.target
            help_ = f"on digits are {', '.join(of_target('digits'))}" if on else "take --target digits"
            raise cli.UserError(f"--only {' '.join(self.only)} was not tuned on {' '.join(self.target)}: {help_}")

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once."""
        return super().floats() | {("samples",): 4 * self.samples, ("blocks",): 2000 * self.blocks}


SHORT = {"short": {"target": ("moons",), "seeds": 1, "steps": 1000, "samples": 2000, "nfe": (1, 4), "repeats": 8}}


def recipes_of(settings: Config) -> list[Recipe]:
    """One model for each target, preset and variant, in that order: one net, one optimiser, and what a preset changes."""
    rate = {} if settings.learning_rate is None else {"learning_rate": settings.learning_rate}
    models = []
    for target in settings.target:
        shape, tuned = rival_judges.target(target).event, of_target(target)
        for preset in (preset for preset in settings.only if preset in tuned):
            changes = {"steps": _steps(settings, preset)} | tuned[preset] | rate
            models.append(recipe_of(preset, settings, name=f"{preset} on {target}", event_shape=shape, **changes))
    return varied(models, settings.vary, VARIED, lambda name, variant: name.replace(" on ", f"{variant} on ", 1))


def _steps(settings: Config, preset: Preset) -> int:
    return settings.steps if settings.equal == "steps" else round(settings.steps * COST["ddm"] / COST[preset])


def parts(recipe: Recipe) -> tuple[str, str]:
    """Preset, with what varies, and target of a model."""
    preset, _, target = recipe.name.partition(" on ")
    return preset, target


def batches(settings: Config, recipe: Recipe, seed: int) -> Any:
    """Fresh points of the model's target for every step."""
    sample = rival_judges.target(parts(recipe)[1]).sample
    return lambda key: sample(key, settings.batch)


def entries(settings: Config, trained: Trained, target: str) -> Iterator[tuple[str, Any, list[Any], tuple[Any, ...]]]:
    """What is judged on a target: name, sampler, parameters of every seed and churns of each model, then of both oracles."""
    for recipe, model in trained.pairs():
        name, of = parts(recipe)
        if of == target:
            yield name, model.draw, trained.params[model.name], rival_judges.churns(recipe, settings.churn)
    for name, draw in rival_judges.oracles(target).items():
        yield name, draw, [None], settings.churn


def judge(settings: Config, trained: Trained) -> Findings:
    """Every preset at every number of steps, and both oracles, on one target after the other; all meet the same noise and data."""
    numbers, titles, clouds, closed, grids = [], {}, {}, {}, {}
    for i, target in enumerate(settings.target):
        truth, chosen = rival_judges.truth(target), rival_judges.distances(target)
        points = rival_judges.points(target, settings.samples)
        key_floor, key_sweep = jax.random.split(jax.random.key(2026 + i))
        floors = rival_judges.floors(target, key_floor, n=points, repeats=settings.repeats)
        judged = judging.against(truth, chosen, blocks=settings.blocks)
        clouds[target] = {}
        for name, draw, params, churn in entries(settings, trained, target):

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
        grids |= chosen_grids(settings, trained, target, jax.random.key(4052 + i))
    seconds = rival_judges.seconds(settings, trained, batches)
    return rival_pages.findings(trained.folder.path, numbers, titles, clouds, closed, grids, seconds, settings.nfe)


def chosen_grids(settings: Config, trained: Trained, target: str, key: Key) -> dict[str, Any]:
    """Grids chosen for the presets that are asked for, by model."""
    asked = [f"{name} on {target}" for name in settings.choose]
    return {
        model.name: grid_judges.judged(model.draw, trained.params[model.name], target, jax.random.clone(key))
        for model in trained.models
        if model.name in asked
    }


def run(settings: Config) -> None:
    """Train, judge, write the report, print the tables."""
    engine.start(settings)
    preset = "-".join(settings.target)
    runner.run(Experiment("family", recipes_of(settings), batches, judge, preset=preset), settings)


if __name__ == "__main__":
    cli.main(Config, run, presets=SHORT)
