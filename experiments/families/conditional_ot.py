"""The curse of conditions: eight Gaussians to two moons, with and without a condition, under three couplings.

Protocol of Cheng and Schwing, arXiv 2503.10636, figure 1: MLP 3 x 128, Adam 3e-4, batch 256; sampled by one Euler step and
by an adaptive solver. Theirs trains 20,000 steps and couples batches of 1,024; here the training batch itself is coupled.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from ddjax import cli
from ddjax.cli.settings import Count, FileToRead, Fraction, Multiple, NonNegative, Positive, Range, Seeds
from ddjax.runs import engine
from experiments import run as runner
from experiments.lazy import denoisers, figures, flows, jax, jnp, metrics, np, recipes, report, times, toys, types
from experiments.run import Experiment, Findings, Trained

if TYPE_CHECKING:
    from jaxtyping import Array

    from ddjax.recipes import Model, Recipe
    from ddjax.types import Batch, Key, Params


@dataclass(frozen=True)
class Config(engine.Engine):
    """Train {no, class, x} condition x {independent, OT, condition-aware OT} and print W_2 of each.

    Minibatch OT that does not see the condition makes the start depend on it, and sampling does not: the model is wrong by
    construction, however long it trains. Writes summary.json, flows.png, report.html and checkpoints into --out.
    """

    seeds: Seeds = 2
    """Number of seeds, 0 to seeds - 1."""
    steps: Count = 4000
    """Training steps of each model."""
    batch: Count = 256
    """Examples for each training step, and for each coupling."""
    learning_rate: Positive = 3e-4
    """Rate of Adam, constant."""
    noise: NonNegative = 0.2
    """Standard deviation around the moons, before they are scaled to 3 x - 1."""
    share: Fraction = 0.99
    """Share of pairs that keep their x condition (condition-aware OT for a continuous condition)."""
    samples: Annotated[int, Multiple(2)] = 1000
    """Points of each W_2, half for each moon."""
    repeats: Annotated[int, Range(2)] = 4
    """Draws behind each number, and pairs behind each floor."""
    tolerance: Positive = 1e-3
    """Tolerance of the adaptive solver."""
    save_every: Annotated[int, Multiple(100)] = 1000
    """Training steps between checkpoints."""
    full: bool = False
    """The published budget: 20,000 steps, 5 seeds (explicit flags still win)."""
    config: FileToRead | None = None
    """A YAML file of settings named as the flags; the command line wins over it."""

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once: a cost matrix."""
        return {("batch",): self.batch**2, ("samples",): self.samples**2}


PRESETS = {"full": {"steps": 20_000, "seeds": 5}}
WAYS = ("Euler, 1 step", "adaptive")
CONDITIONS = {"unconditional": {}, "class": {"classes": 2}, "x coordinate": {"cond_size": 1}}
COUPLINGS = {"independent": "independent", "OT": "blind", "condition-aware OT": "aware"}


def recipes_of(settings: Config) -> list[Recipe]:
    """Every condition under every coupling that differs for it."""
    shared = {
        "kind": "flow", "event_shape": (2,), "depth": 3, "prior": "eight_gaussians", "share": settings.share,
        "steps": settings.steps, "learning_rate": settings.learning_rate,
    }  # fmt: skip
    return [
        recipes.Recipe(name=f"{condition}, {name}", coupling=coupling, **shared, **eaten)
        for condition, eaten in CONDITIONS.items()
        for name, coupling in COUPLINGS.items()
        if eaten or coupling != "aware"  # without a condition there is nothing to be aware of
    ]


def data(key: Key, n: int, *, noise: float) -> Batch:
    """Two moons scaled to 3 x - 1, the target, with labels in turns."""
    points, labels = toys.two_moons(key, n, noise=noise)
    turns = jnp.argsort(labels).reshape(2, -1).T.reshape(-1)
    return types.Batch(3 * points[turns] - 1, labels[turns])


def told_to(recipe: Recipe, batch: Batch) -> Any:
    """What a model is told of the data: nothing, the label, or the x coordinate of the target itself."""
    return batch.cond if recipe.classes else batch.x_0[:, :1] if recipe.cond_size else None


def batches(settings: Config, recipe: Recipe, seed: int) -> Any:
    """Fresh moons for every step, with what the model is told of them."""

    def batch(key: Key) -> Any:
        drawn = toys.two_moons(key, settings.batch, noise=settings.noise)
        drawn = drawn._replace(x_0=3 * drawn.x_0 - 1)
        cond = told_to(recipe, drawn)
        return drawn.x_0 if cond is None else (drawn.x_0, cond)

    return batch


def distance(recipe: Recipe, real: Batch, told: Batch, x_0: Array) -> float:
    """W_2 to the data that belongs to the condition: within each class; jointly with x, to the very points whose x was told."""
    w_2 = partial(metrics.wasserstein, p=2.0)
    if recipe.classes:
        return float(sum(metrics.per_class(w_2, *real, x_0, told.cond, classes=2)) / 2)
    if recipe.cond_size:
        x = told_to(recipe, told)
        return float(w_2(jnp.concatenate([told.x_0, x], 1), jnp.concatenate([x_0, x], 1)))
    return float(w_2(real.x_0, x_0))


def judge_cell(settings: Config, recipe: Recipe, model: Model, params: list[Params]) -> dict[str, Any]:
    """W_2 for each way to sample and each seed (mean over draws), and the solver's calls for each sample."""
    velocity = recipes.predictor(recipe)

    @jax.jit
    def solve(params: Params, key: Key, x_1: Array, cond: Any) -> Any:
        field = denoisers.bind(velocity, params) if cond is None else partial(_told, velocity, params)
        return flows.integrate(field, key, x_1, cond=cond, tolerance=settings.tolerance)

    distances, calls, lost = {way: [] for way in WAYS}, [], 0
    for of_seed in params:
        drawn = {way: [] for way in WAYS}
        for key in jax.random.split(jax.random.key(2026), settings.repeats):
            key_real, key_cond, key_start, key_flow = jax.random.split(key, 4)
            real, told = (data(k, settings.samples, noise=settings.noise) for k in (key_real, key_cond))
            cond, x_1 = told_to(recipe, told), toys.eight_gaussians(key_start, settings.samples).x_0
            solution = solve(of_seed, key_flow, x_1, cond)
            calls.append(6 * float(solution.steps.mean()))
            lost += int((~solution.converged).sum())
            one_step = model.draw(of_seed, jax.random.clone(key), settings.samples, steps=1, cond=cond)
            for way, x_0 in zip(WAYS, (one_step, solution.x), strict=True):
                drawn[way].append(distance(recipe, real, told, x_0))
        for way in WAYS:
            distances[way].append(float(np.mean(drawn[way])))
    return distances | {"adaptive calls": float(np.mean(calls)), "not converged": lost}


def _told(velocity: Any, params: Params, key: Key, x_t: Array, t: Array, cond: Any) -> Array:
    return velocity(params, key, x_t, t, cond)


def floor(settings: Config, recipe: Recipe) -> list[float]:
    """W_2 of the truth sampled under the same conditions, mean and standard deviation over draws."""
    values = []
    for key in jax.random.split(jax.random.key(7), settings.repeats):
        key_real, key_told, key_pool = jax.random.split(key, 3)
        real, told = (data(k, settings.samples, noise=settings.noise) for k in (key_real, key_told))
        exact = told.x_0
        if recipe.cond_size:  # the nearest x among many: a draw of y given x
            pool = np.asarray(data(key_pool, 200_000, noise=settings.noise).x_0)
            pool = pool[np.argsort(pool[:, 0])]
            exact = jnp.asarray(pool[np.searchsorted(pool[:-1, 0], np.asarray(told.x_0[:, 0]))])
        values.append(distance(recipe, real, told, exact))
    return [float(np.mean(values)), float(np.std(values, ddof=1))]


def orders(cells: dict[str, dict[str, Any]]) -> dict[str, str]:
    """In how many seeds condition-aware OT is best and blind OT worst, for each condition and way to sample."""
    told = {}
    for condition in ("class", "x coordinate"):
        for way in WAYS:
            free, blind, aware = (np.array(cells[f"{condition}, {name}"][way]) for name in COUPLINGS)
            whole, worse = int(((aware < free) & (free < blind)).sum()), int((aware < blind).sum())
            told[f"{condition}, {way}"] = (
                f"condition-aware < independent < OT in {whole} of {len(aware)} seeds, condition-aware < OT in {worse}"
            )
    return told


HEADS = ["model", *(f"W_2, {way}" for way in WAYS), "adaptive calls", "floor"]


def rows_of(summary: dict[str, Any]) -> list[list[str]]:
    """Model, W_2 by way with the range over seeds, calls of the adaptive solver, floor."""
    lines = []
    for name, cell in summary["cells"].items():
        shown = [f"{np.median(cell[way]):.3f} [{min(cell[way]):.3f}, {max(cell[way]):.3f}]" for way in WAYS]
        mean, std = summary["floors"][name.split(", ")[0]]
        lines.append([name, *shown, f"{cell['adaptive calls']:.0f}", f"{mean:.3f} ± {std:.3f}"])
    return lines


def judge(settings: Config, trained: Trained) -> Findings:
    """W_2 of every cell, with the floors of its condition and the order of the couplings."""
    found = recipes_of(settings)
    cells = {
        model.name: judge_cell(settings, recipe, model, trained.params[model.name])
        for recipe, model in zip(found, trained.models, strict=True)
    }
    floors = {
        recipe.name.split(", ")[0]: floor(settings, recipe) for recipe in found if recipe.coupling == "independent"
    }
    summary = {"cells": cells, "floors": floors, "orders": orders(cells)}
    caption = "Flows of seed 0: grey where they start, coloured by the told moon where they end."
    table = report.plain("W₂ (Euclidean ground cost, p = 2)", HEADS, rows_of(summary))
    return Findings(
        [],
        {},
        "the smallest and largest seed; values are medians over seeds",
        summary,
        {"flows.png": (picture(found, trained), caption)},
        notes=[
            "class: mean over classes. x coordinate: W₂ of (sample, condition) jointly, to the points whose x was told; its "
            "floor is that of exact draws of y given x.",
            *(f"{order}: {told}" for order, told in summary["orders"].items()),
        ],
        tables=[table],
    )


def picture(found: list[Recipe], trained: Trained) -> Any:
    """Flows of seed 0 in 20 Euler steps: where each sample starts, its track, and where it ends."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, 9.6), layout="constrained")
    axes = figure.subplots(len(CONDITIONS), len(COUPLINGS), sharex=True, sharey=True)
    told = data(jax.random.key(3), 600, noise=0.2)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    for recipe in found:
        condition, coupling = recipe.name.split(", ")
        axis = axes[[*CONDITIONS].index(condition), [*COUPLINGS].index(coupling)]
        draw = jax.jit(recipes.sampler(recipe, path=True), static_argnums=2)
        cond = told_to(recipe, told)
        path = np.asarray(draw(trained.params[recipe.name][0], jax.random.key(5), 600, times.grid(20), cond))
        axis.plot(path[:, :150, 0], path[:, :150, 1], color="0.8", linewidth=0.4, zorder=0)
        axis.scatter(*path[0].T, s=2, color="0.5", linewidths=0)
        axis.scatter(*path[-1].T, s=4, c=np.array(figures.COLORS)[np.asarray(told.cond)], linewidths=0)
        axis.set_title(recipe.name, fontsize=9)
    axes[0, 2].set_axis_off()
    return figure


def run(settings: Config) -> None:
    """Train, judge, write the report, print the table."""
    engine.start(settings)
    of = {"batches": batches, "judge": judge}
    parts = {name: partial(part, settings) for name, part in of.items()}
    preset = "full" if settings.full else "default"
    runner.run(Experiment("conditional_ot", recipes_of(settings), **parts, preset=preset), settings)


if __name__ == "__main__":
    cli.main(Config, run, presets=PRESETS)
