"""Inflationary flows: an invertible map from data to a Gaussian that preserves, or reduces, their dimensions.

Trains the denoiser of each flow, inflates data, generates, and goes there and back. Expected with the defaults, met on all five
toys (docs/inflation.md): W_1 at most twice the floor, errors of the way there and back below 1e-2, latents within 2 points of
the chi law at all radii.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from ddjax import cli
from ddjax.cli.settings import Count, Depth, NonNegative, Positive, Range, Seeds, Steps
from ddjax.recipes import Inflation, Mlp, part
from ddjax.runs import engine
from experiments.common import runner
from experiments.common.runner import Experiment, Findings, Trained
from experiments.common.settings import Training
from experiments.lazy import (
    classifiers,
    data,
    inflation,
    inflation_judges,
    inflation_pages,
    inflations,
    jax,
    jnp,
    judging,
    types,
)

if TYPE_CHECKING:
    from ddjax.judging import Number
    from ddjax.types import Batch, Key, Params


@dataclass(frozen=True)
class Config(Training, Mlp):
    """Train inflationary flows on a toy in the plane or on digits; inflate, generate, go there and back, and report.

    Toys are standardised by axis. Writes config.yaml, metrics.jsonl, summary.json, figures, report.html and checkpoints into --out.

    Example: python -m experiments.inflation --data moons --steps 500
    """

    data: Literal["circles", "sine", "moons", "s_curve", "swirl", "digits"] = "moons"
    """A toy in the plane, or scikit-learn's digits of 8 x 8 pixels."""
    keep: tuple[Annotated[int, Range(0)], ...] = (0, 1)
    """Directions that a flow keeps, one model for each; 0 preserves the participation ratio instead."""
    gap: tuple[Annotated[float, Range(0, 2, "(]")], ...] = (1.0,)
    """By how much slower than the kept directions, at 2, the others grow; one model for each. 1 for toys, .02 for images."""
    gamma: Positive = 5e-4
    """Noise at t = 0, in units of each variance: without it the score is infinite there."""
    preconditioning: Literal["anisotropic", "edm", "eigen_edm"] = "anisotropic"
    """What keeps the network at unit variance: each direction by its own numbers, all by one, or by one beside each noise."""
    space: Literal["eigen", "data"] = "eigen"
    """Where the network lives."""
    time_law: Literal["quadratic", "uniform", "normal"] = "quadratic"
    """Training times: u squared with uniform u, uniform, or the paper's N(12, 1.2) in units of the growth rate, to 15.01."""
    method: Literal["euler", "heun", "rk4"] = "heun"
    """Of the way up and down; samples by number of steps are Heun's."""
    nfe: tuple[Steps, ...] = (8, 32, 64)
    """Numbers of solver's steps to generate in; inflations and round trips take the largest."""
    seeds: Seeds = 3
    steps: Count = 15_000
    depth: Depth = 3
    """Number of hidden layers."""
    learning_rate: Positive = 2e-3
    """Peak rate of AdamW, after a warm-up and before a cosine decay to 1 percent."""
    warmup: Annotated[int, Range(0)] | None = 100
    samples: Annotated[int, Range(1000)] = 10_000
    """Points that are inflated and generated; of digits, at most as many as there are."""
    least: NonNegative = 1e-3
    """Of digits: variances below this share of the largest are raised to it, for pixels that never change."""
    repeats: Annotated[int, Range(5)] = 8
    """Pairs of fresh true samples behind the floor."""

    def check(self) -> None:
        """Raises: UserError for more directions than the data have, or all of them."""
        super().check()
        d = 64 if self.data == "digits" else 2
        if max(self.keep) > d:
            raise cli.UserError(f"--keep lies in 0..{d}, the directions of {self.data}, got {max(self.keep)}")

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once: seven clouds, and what the net makes of one."""
        return super().floats() | {("samples", "width"): self.samples * (14 + self.width)}


class Source(NamedTuple):
    """Data to train on and to judge by, the metric of samples, and its floor."""

    sample: Callable[[Key, int], Any]
    held_out: Callable[[Key, int], Batch]
    event_shape: tuple[int, ...]
    eigen: Any
    distances: dict[str, Any]
    floors: dict[str, Any]
    n: int


def source_of(settings: Config) -> Source:
    """The data, their eigenbasis, and how far two true samples are from each other."""
    key_basis, key_floor = jax.random.split(jax.random.key(0))
    if settings.data != "digits":
        sample = inflation_judges.standardised(settings.data)
        distances, truth = inflation_judges.distances(), inflation_judges.truth(sample)
        floors = judging.floors(truth, distances, key_floor, n=settings.samples, repeats=settings.repeats)
        eigen = inflation.eigenbasis(sample(key_basis, 100_000))
        return Source(sample, truth, (2,), eigen, distances, floors, settings.samples)
    train, test = data.load("digits", "train"), data.load("digits", "test")
    images, real = (data.to_float(jnp.asarray(part.x)) for part in (train, test))
    distances = inflation_judges.distances(classifiers.trained(train, test).features)
    sample = lambda key, n: jax.random.choice(key, images, (n,), replace=n > len(images))  # noqa: E731
    held_out = lambda key, n: types.Batch(real)  # noqa: E731
    n = min(settings.samples, len(images))
    seen = types.Batch(jax.random.permutation(key_floor, images)[:n])
    base = {name: (metric.distance(seen, types.Batch(real)), None) for name, metric in distances.items()}
    eigen = inflation.eigenbasis(images, least=settings.least)
    return Source(sample, held_out, train.shape, eigen, distances, base, n)


def recipes_of(settings: Config, source: Source) -> list[Inflation]:
    """One model for each number of kept directions and, where some are kept, each gap."""
    shared = {"event_shape": source.event_shape, "eigen": inflations.written(source.eigen)}
    shared |= {"network": part(Mlp, settings), "optimizer": settings.optimizer()}
    models = []
    for keep in settings.keep:
        for gap in settings.gap if keep else (Inflation.gap,):
            name = f"keep {keep}, gap {gap:g}" if keep else "preserving"
            models.append(part(Inflation, settings, name=name, keep=keep, gap=gap, **shared))
    return models


def judge(settings: Config, trained: Trained, *, source: Source) -> Findings:
    """Samples by number of steps, beside PCA's Gaussian; then the way up, down, there and back of every model and seed."""
    key_sweep, key_data, key_judge = jax.random.split(jax.random.key(2026), 3)
    steps = max(settings.nfe)
    against = judging.against(lambda key, n: source.held_out(key, n), source.distances)
    numbers: list[Number] = []

    def swept(name: str, draw: Any, params: list[Params], nfe: tuple[int, ...]) -> None:
        of_draw = lambda params, key, steps, churn: types.Batch(draw(params, key, steps))  # noqa: E731
        key = jax.random.clone(key_sweep)
        numbers.extend(judging.sweep(name, of_draw, params, against, source.floors, key, nfe=nfe))

    flows = [recipe for recipe in trained.recipes if isinstance(recipe, Inflation)]
    for recipe, model in zip(flows, trained.models, strict=True):
        draw = lambda params, key, steps, model=model: model.draw(params, key, source.n, steps=steps)  # noqa: E731
        swept(recipe.name, draw, trained.params[recipe.name], settings.nfe)
        if recipe.keep:
            few = inflation_judges.from_the_kept(recipe, model, steps=steps, method=settings.method)
            alone = lambda params, key, steps, few=few: few(params, key, source.n)  # noqa: E731
            swept(f"{recipe.name}: the kept latents alone", alone, trained.params[recipe.name], (steps,))
    for keep in sorted({recipe.keep or len(source.eigen.variances) for recipe in flows}):
        gaussian = inflation_judges.pca_gaussian(source.eigen, keep)
        plain = lambda params, key, steps, gaussian=gaussian: gaussian(params, key, source.n)  # noqa: E731
        swept(f"PCA's Gaussian of {keep} (no training)", plain, [None], (steps,))
    points = source.sample(key_data, source.n)
    judged = {
        recipe.name: [
            inflation_judges.judged(recipe, params, points, key, steps=steps, method=settings.method)
            for params, key in zip(
                trained.params[recipe.name], jax.random.split(jax.random.clone(key_judge), settings.seeds), strict=True
            )
        ]
        for recipe in flows
    }
    return inflation_pages.findings(trained, numbers, judged, source.distances, source.floors)


def run(settings: Config) -> None:
    """Train, judge, write the report, print the tables."""
    engine.start(settings)
    began = time.monotonic()
    source = source_of(settings)
    told = ", ".join(f"{float(v):.3g}" for v in source.eigen.variances[:4])
    pr = float(inflation.participation_ratio(source.eigen.variances))
    note = f"{settings.data}: variances {told}{', ...' if len(source.eigen.variances) > 4 else ''}, participation ratio {pr:.3f}"
    runner.run(
        Experiment(
            "inflation",
            recipes_of(settings, source),
            lambda settings, recipe, seed: lambda key: source.sample(key, settings.batch),
            partial(judge, source=source),
            preset=settings.data,
            notes=[note, f"data and floors: {time.monotonic() - began:.0f} s"],
        ),
        settings,
    )


if __name__ == "__main__":
    cli.main(Config, run)
