"""Train the cells of the table, judge them, write everything."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array
from matplotlib.figure import Figure

from ddjax import flows, samplers, times
from ddjax.types import Params
from experiments import jobs, report, runs
from experiments.conditional.models import (
    AWARE,
    BLIND,
    INDEPENDENT,
    Model,
    adaptive,
    batches,
    data,
    field_of,
    models,
    source,
)
from experiments.pages.figures import COLORS

WAYS = ("Euler, 1 step", "adaptive")


def run(config: Any) -> None:
    """Everything behind `experiments.conditional_ot`."""
    began = time.monotonic()
    folder = runs.open_run(
        "conditional_ot", config, Path("runs/conditional_ot") / ("full" if config.full else "default")
    )
    found = list(models(config))
    params = {model.name: [train(model, config, folder, seed) for seed in range(config.seeds)] for model in found}
    if not runs.first_process():
        return
    cells = {model.name: judge(model, params[model.name], config) for model in found}
    floors = {model.condition.name: floor(model, config) for model in found}
    summary = {
        "experiment": "conditional_ot",
        "settings": folder.settings,
        "provenance": runs.provenance(),
        "seconds": round(time.monotonic() - began, 1),
        "peak_memory_gb": round(runs.peak_memory_gb(), 2),
        "cells": cells,
        "floors": floors,
        "orders": orders(cells),
    }
    folder.write_json("summary.json", summary)
    picture(found, params).savefig(folder.path / "flows.png", dpi=110)
    write_page(folder.path, summary)
    print("\n".join(markdown(summary)))
    for order, told in summary["orders"].items():
        print(f"{order}: {told}")
    print(f"{summary['seconds']:.0f} s, peak memory {summary['peak_memory_gb']} GB, results in {folder.path}")


def train(model: Model, settings: Any, folder: runs.Run, seed: int) -> Params:
    """Train one cell."""
    return jobs.train(
        folder,
        f"{model.name.lower().replace(' ', '-').replace(',', '')}-seed{seed}",
        model.condition.network,
        model.loss_fn,
        optax.adam(settings.learning_rate),
        batches(model, settings),
        seed=seed,
        steps=settings.steps,
        save_every=settings.save_every,
        ema_decay=0.999,
    )


def judge(model: Model, params: Sequence[Params], config: Any) -> dict[str, Any]:
    """W_2 for each way to sample and each seed (mean over draws), and the solver's calls for each sample."""
    solve = adaptive(model, config.tolerance)

    @jax.jit
    def one_step(params: Params, key: Array, x_1: Array, cond: Any) -> Array:
        return samplers.sample(flows.euler(field_of(model, params, cond)), key, x_1, times.grid(1))

    distances, calls, lost = {way: [] for way in WAYS}, [], 0
    for of_seed in params:
        drawn = {way: [] for way in WAYS}
        for key in jax.random.split(jax.random.key(2026), config.repeats):
            key_real, key_cond, key_start, key_flow = jax.random.split(key, 4)
            real, told = (data(k, config.samples, noise=config.noise) for k in (key_real, key_cond))
            cond, x_1 = model.condition.of(told), source(key_start, (config.samples, 2))
            solution = solve(of_seed, key_flow, x_1, cond)
            calls.append(6 * float(solution.steps.mean()))
            lost += int((~solution.converged).sum())
            for way, x_0 in zip(
                WAYS, (one_step(of_seed, jax.random.clone(key_flow), x_1, cond), solution.x), strict=True
            ):
                drawn[way].append(distance(model, real, told, x_0))
        for way in WAYS:
            distances[way].append(float(np.mean(drawn[way])))
    return distances | {"adaptive calls": float(np.mean(calls)), "not converged": lost}


def distance(model: Model, real: Any, told: Any, x_0: Array) -> float:
    """W_2 to the data that belongs to the condition: for x, to the very points whose x was told."""
    target = told if model.condition.name == "x coordinate" else real
    return float(model.condition.distance(target.x_0, x_0, model.condition.of(told)))


def floor(model: Model, config: Any) -> list[float]:
    """W_2 of the truth sampled under the same conditions, mean and standard deviation over draws."""
    values = []
    for key in jax.random.split(jax.random.key(7), config.repeats):
        key_real, key_told, key_pool = jax.random.split(key, 3)
        real, told = (data(k, config.samples, noise=config.noise) for k in (key_real, key_told))
        exact = told.x_0
        if model.condition.name == "x coordinate":  # the nearest x among many: a draw of y given x
            pool = np.asarray(data(key_pool, 200_000, noise=config.noise).x_0)
            pool = pool[np.argsort(pool[:, 0])]
            exact = jnp.asarray(pool[np.searchsorted(pool[:-1, 0], np.asarray(told.x_0[:, 0]))])
        values.append(distance(model, real, told, exact))
    return [float(np.mean(values)), float(np.std(values, ddof=1))]


def orders(cells: dict[str, dict[str, Any]]) -> dict[str, str]:
    """In how many seeds condition-aware OT is best and blind OT worst, for each condition and way to sample."""
    told = {}
    for condition in ("class", "x coordinate"):
        for way in WAYS:
            aware, free, blind = (np.array(cells[f"{condition}, {name}"][way]) for name in (AWARE, INDEPENDENT, BLIND))
            whole, worse = int(((aware < free) & (free < blind)).sum()), int((aware < blind).sum())
            told[f"{condition}, {way}"] = (
                f"condition-aware < independent < OT in {whole} of {len(aware)} seeds, condition-aware < OT in {worse}"
            )
    return told


def rows_of(summary: dict[str, Any]) -> list[list[str]]:
    """Model, W_2 by way with the range over seeds, calls of the adaptive solver, floor."""
    lines = []
    for name, cell in summary["cells"].items():
        shown = [f"{np.median(cell[way]):.3f} [{min(cell[way]):.3f}, {max(cell[way]):.3f}]" for way in WAYS]
        mean, std = summary["floors"][name.split(", ")[0]]
        lines.append([name, *shown, f"{cell['adaptive calls']:.0f}", f"{mean:.3f} ± {std:.3f}"])
    return lines


HEADS = ["model", *(f"W_2, {way}" for way in WAYS), "adaptive calls", "floor"]


def markdown(summary: dict[str, Any]) -> list[str]:
    """The table, for a terminal and the README."""
    return [f"| {' | '.join(line)} |" for line in (HEADS, ["---"] * len(HEADS), *rows_of(summary))]


def picture(found: Sequence[Model], params: dict[str, list[Params]]) -> Figure:
    """Flows of seed 0 in 20 Euler steps: where each sample starts, its track, and where it ends."""
    figure = Figure(figsize=(10.0, 9.6), layout="constrained")
    axes = figure.subplots(3, 3, sharex=True, sharey=True)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    columns = {INDEPENDENT: 0, BLIND: 1, AWARE: 2}
    conditions = list(dict.fromkeys(model.condition.name for model in found))
    for model in found:
        axis = axes[conditions.index(model.condition.name), columns[model.coupling]]
        told = data(jax.random.key(3), 600, noise=0.2)
        cond, x_1 = model.condition.of(told), source(jax.random.key(4), (600, 2))
        step = flows.euler(field_of(model, params[model.name][0], cond))
        path = np.asarray(samplers.sample_path(step, jax.random.key(5), x_1, times.grid(20)))
        axis.plot(path[:, :150, 0], path[:, :150, 1], color="0.8", linewidth=0.4, zorder=0)
        axis.scatter(*path[0].T, s=2, color="0.5", linewidths=0)
        axis.scatter(*path[-1].T, s=4, c=np.array(COLORS)[np.asarray(told.cond)], linewidths=0)
        axis.set_title(model.name, fontsize=9)
    axes[0, 2].set_axis_off()
    return figure


def write_page(path: Path, summary: dict[str, Any]) -> None:
    """Write report.html."""
    body = [report.heading("W₂ (Euclidean ground cost, p = 2)"), report.plain_table(HEADS, rows_of(summary))]
    body.append(
        report.paragraph(
            "Medians and ranges over seeds. class: mean over classes. x coordinate: W₂ of (sample, condition) jointly, to the "
            "points whose x was told; its floor is that of exact draws of y given x.",
            small=True,
        )
    )
    body += [report.paragraph(f"{order}: {told}.") for order, told in summary["orders"].items()]
    captions = {"flows.png": "Flows of seed 0: grey where they start, coloured by the told moon where they end."}
    report.page(path, summary, body + report.figures(path, captions))
