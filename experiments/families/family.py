"""Distributional diffusion, its follow-ups and its few-step rivals on one bench: the same net, the same optimiser steps.

Presets are recipes with a name. Each is trained on each target with each seed, judged at every number of steps against fresh data,
and stands between two oracles: the exact posterior, and the exact mean, which no classical model can beat at its number of steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ddjax import cli
from ddjax.cli.settings import Count, Positive, Range, Seeds, Steps
from ddjax.runs import engine
from experiments import run as runner
from experiments.lazy import jax, judging, np, recipes, rival_judges, rival_pages, types
from experiments.run import Experiment, Findings, Trained
from experiments.training import Training

if TYPE_CHECKING:
    from ddjax.recipes import Recipe
    from ddjax.types import Batch, Key, Params

Preset = Literal[
    "ddm", "iddm", "sddm", "ddm-imq", "ddm-rbf", "ddm-exp", "fm", "fm-ot", "ddpm", "consistency", "mean-flow", "imf"
]
TargetName = Literal["two_gaussians", "eight_gaussians", "moons", "checkerboard", "forty"]

_NOISY = {"time_exponent": 0.7}  # training times u^.7, which favour the noise end
PRESETS: dict[Preset, dict[str, Any]] = {
    "ddm": {"population": 4, **_NOISY},
    "iddm": {"rule": "iddm", "beta": 0.1, "population": 4, "inject": 2, **_NOISY},
    "sddm": {"rule": "sddm", "population": 3, **_NOISY},
    "ddm-imq": {"rule": "imq", "population": 4, **_NOISY},
    "ddm-rbf": {"rule": "rbf", "population": 4, **_NOISY},
    "ddm-exp": {"rule": "exponential", "population": 4, **_NOISY},
    "fm": {"kind": "flow"},
    "fm-ot": {"kind": "flow", "coupling": "aware"},
    "ddpm": {"kind": "regression", **_NOISY},
    "consistency": {"kind": "consistency", "huber": 0.03},
    "mean-flow": {"kind": "mean_flow", "time": "raw"},
    "imf": {"kind": "mean_flow", "time": "raw", "improved": True},
}


@dataclass(frozen=True)
class Config(Training):
    """Train every preset on every target, and judge all at 1 to 50 steps beside both oracles.

    ddm: the energy score of m = 4 draws. iddm: beta and lam over time, norms by position, late xi. sddm: CRPS and squared error
    by element. ddm-imq, -rbf, -exp: kernel scores. fm, fm-ot: flow matching, without and with transport. ddpm: regression.
    consistency, mean-flow, imf: the rivals. Targets are in units of their spread. Writes config.yaml, metrics.jsonl, summary.json,
    figures, report.html and checkpoints into --out.
    """

    target: tuple[TargetName, ...] = ("two_gaussians", "moons")
    """Laws in the plane to learn."""
    only: tuple[Preset, ...] = tuple(PRESETS)
    """Presets to train."""
    seeds: Seeds = 5
    steps: Count = 5000
    batch: Count = 256
    depth: Annotated[int, Range(3, 1000)] = 3
    """Number of hidden layers."""
    learning_rate: Positive = 2e-3
    """Peak rate of the optimiser, after a warm-up and before a cosine decay to 1 percent."""
    nfe: tuple[Steps, ...] = (1, 2, 4, 8, 16, 50)
    """Numbers of sampling steps to judge."""
    samples: Annotated[int, Range(1000)] = 10_000
    """Points for each measured distance (W_1 takes blocks of 1,000 of them)."""
    blocks: Count = 2
    """Blocks of 1,000 points behind each W_1."""
    repeats: Annotated[int, Range(2)] = 8
    """Pairs of fresh true samples behind each floor."""
    short: bool = False
    """A look at every preset: one target, one seed, 1,000 steps (explicit flags still win)."""

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once."""
        return super().floats() | {("samples",): 4 * self.samples, ("blocks",): 2000 * self.blocks}


SHORT = {"short": {"target": ("moons",), "seeds": 1, "steps": 1000, "samples": 2000, "nfe": (1, 4), "repeats": 4}}


def recipes_of(settings: Config) -> list[Recipe]:
    """One model for each target and preset, in that order: one net, one optimiser, and what a preset changes."""
    shared = settings.recipe() | {"event_shape": (2,), "predicts": "velocity", "cosine": True, "clip": 1.0}
    return [
        recipes.Recipe(**shared | PRESETS[preset] | {"name": f"{preset} on {target}"})
        for target in settings.target
        for preset in settings.only
    ]


def parts(recipe: Recipe) -> tuple[str, str]:
    """Preset and target of a model."""
    preset, _, target = recipe.name.partition(" on ")
    return preset, target


def batches(settings: Config, recipe: Recipe, seed: int) -> Any:
    """Fresh points of the model's target for every step."""
    sample = rival_judges.target(parts(recipe)[1]).sample
    return lambda key: sample(key, settings.batch)


def judge(settings: Config, trained: Trained) -> Findings:
    """Every preset at every number of steps, and both oracles, on one target after the other."""
    numbers, titles, clouds, closed = [], {}, {}, {}
    for i, target in enumerate(settings.target):
        truth, chosen = rival_judges.truth(target), rival_judges.distances(target)
        key_floor, key_sweep = jax.random.split(jax.random.key(2026 + i))
        floors = judging.floors(truth, chosen, key_floor, n=settings.samples, repeats=settings.repeats)
        judged = judging.against(truth, chosen, blocks=settings.blocks)
        entries = [
            (parts(recipe)[0], model.draw, trained.params[model.name])
            for recipe, model in trained.pairs()
            if parts(recipe)[1] == target
        ]
        entries += [(name, draw, [None]) for name, draw in rival_judges.oracles(target).items()]
        clouds[target] = {}
        for (name, draw, params), key in zip(entries, jax.random.split(key_sweep, len(entries)), strict=True):

            def drawn(params: Params, key: Key, steps: int, churn: float | None, draw: Any = draw) -> Batch:
                return types.Batch(draw(params, key, settings.samples, steps=steps))

            swept = judging.sweep(name, drawn, params, judged, floors, jax.random.clone(key), nfe=settings.nfe)
            numbers += swept
            clouds[target][name] = [
                np.asarray(drawn(params[0], jax.random.clone(key), n, None).x_0) for n in settings.nfe
            ]
        titles |= {name: metric.title for name, metric in chosen.items()}
        closed[target] = judging.gap_closed(numbers, f"w1 {target}", rival_judges.MEAN)
    return Findings(
        numbers,
        titles,
        "value is the median over seeds; low and high are the smallest and largest seed",
        {"gap_closed": closed},
        rival_pages.drawn(trained.folder.path, numbers, clouds, settings.nfe),
        notes=rival_pages.sentences(closed),
    )


def run(settings: Config) -> None:
    """Train, judge, write the report, print the tables."""
    engine.start(settings)
    preset = "-".join(settings.target)
    runner.run(Experiment("family", recipes_of(settings), batches, judge, preset=preset), settings)


if __name__ == "__main__":
    cli.main(Config, run, presets=SHORT)
