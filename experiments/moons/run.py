"""The two-moons page: train every model, judge all of them, write everything."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ddjax import flows, metrics, paths, samplers, times
from ddjax.judging import Number, measured, table
from ddjax.types import Denoise, Params
from experiments import jobs, runs
from experiments.moons import figures, judging, page
from experiments.moons.models import CLASSES, SCHEDULE, Model, batches, labels_of, models, optimizer, sampler

_SHOWN = 2000  # points of a figure


def run(config: Any) -> None:
    """Everything behind `experiments.two_moons`."""
    began = time.monotonic()
    folder = runs.open_run("two_moons", config, Path("runs/two_moons") / "-".join(config.exp))
    found = list(models(config))
    params = {model.name: [train(model, config, folder, seed) for seed in range(config.seeds)] for model in found}
    trained = time.monotonic()
    if not runs.first_process():
        return

    key_floor, key_judge, key_shape = jax.random.split(jax.random.key(2026), 3)
    chosen = judging.FEW_STEP | judging.AT_THE_END | (judging.PER_CLASS if any(m.labelled for m in found) else {})
    chosen |= {f"watched_{name}": metric for name, metric in judging.WATCHED.items()}
    floors = judging.floors(chosen, key_floor, config.samples, noise=config.noise, repeats=config.repeats)
    numbers = list(judged(found, params, config, floors, key_judge))
    shapes, tracks = shape_of_flows(found, params, key_shape)
    summary = {
        "experiment": "two_moons",
        "settings": folder.settings,
        "provenance": runs.provenance(),
        "seconds": {"training": round(trained - began, 1), "total": round(time.monotonic() - began, 1)},
        "peak_memory_gb": round(runs.peak_memory_gb(), 2),
        "interval": "value is the median over seeds; low and high are the smallest and largest seed",
        "floors": {name: list(floor) for name, floor in floors.items()},
        "final_loss": final_losses(folder, found, config),
        "numbers": [number.row() for number in numbers],
        "straightness": shapes,
    }
    folder.write_json("summary.json", summary)
    draw_figures(folder, found, params, tracks, floors, config)
    page.write(folder.path, summary, numbers)
    for metric in [*judging.FEW_STEP, *[name for name in judging.PER_CLASS if name in floors]]:
        print(f"\n{(judging.FEW_STEP | judging.PER_CLASS)[metric].title}\n\n{table(numbers, metric)}")
    told = ", ".join(f"{name} {loss:.3f}" for name, loss in summary["final_loss"].items())
    print(f"\nloss, mean of the last 500 steps: {told}")
    print(f"{summary['seconds']['total']:.0f} s, peak memory {summary['peak_memory_gb']} GB, results in {folder.path}")


def load(path: Path, settings: Any, name: str | None) -> jobs.Trained:
    """A trained model of a saved run, ready to sample, its classes in turns where it has them.

    Args:
        name: of the checkpoint folder, for instance "3-ot-coupling-seed0"; None takes the first.
    Raises: ValueError for a name that the run does not have; FileNotFoundError where no intact checkpoint is left.
    """
    found = {f"{slug(m.name)}-seed{seed}": m for m in models(settings) for seed in range(settings.seeds)}
    name, params = jobs.trained(path, {job: model.network for job, model in found.items()}, optimizer(settings), name)
    model = found[name]

    def denoise(params: Params) -> Denoise:
        return lambda key, x_t, t: model.trained(params, key, x_t, t, labels_of(model, x_t.shape[0]))

    return jobs.Trained(
        name, params, denoise, SCHEDULE, (2,), model.flow, tuple(map(str, range(CLASSES))) if model.labelled else ()
    )


def train(model: Model, settings: Any, folder: runs.Run, seed: int) -> Params:
    """Train one model, its first seed watched at every checkpoint."""
    return jobs.train(
        folder,
        f"{slug(model.name)}-seed{seed}",
        model.network,
        model.loss_fn,
        optimizer(settings),
        batches(model, settings),
        seed=seed,
        steps=settings.steps,
        save_every=settings.save_every,
        ema_decay=settings.ema_decay,
        watch=watcher(model, settings) if seed == 0 else None,
    )


def slug(name: str) -> str:
    """A model's name as a folder."""
    return name.lower().replace(" ", "-").replace(",", "").replace("=", "")


def watcher(model: Model, settings: Any) -> jobs.Watch:
    """Judge averaged parameters by `judging.WATCHED` at the largest number of steps, always on the same draw."""
    draw = sampler(model, next(iter(model.steps.values())), judging.BLOCK)
    grid = times.grid(max(settings.nfe))

    def watch(params: Params) -> dict[str, float]:
        key_truth, key_draw = jax.random.split(jax.random.key(77))
        real, fake = judging.truth(key_truth, judging.BLOCK, noise=settings.noise), draw(params, key_draw, grid)
        return {name: metric.distance(real, fake) for name, metric in judging.WATCHED.items()}

    return watch


def judged(
    found: list[Model], params: dict[str, list[Params]], config: Any, floors: dict[str, metrics.Floor], key: Any
):
    """Every number of every way to sample, and of the exact sampler."""
    for model in found:
        for name, make_step in model.steps.items():
            draw = sampler(model, make_step, config.samples)
            for nfe in config.nfe:
                key, key_cell = jax.random.split(key)
                fakes = [
                    draw(of_seed, key, times.grid(nfe))
                    for of_seed, key in zip(params[model.name], jax.random.split(key_cell, config.seeds), strict=True)
                ]
                yield from cell(name, fakes, model.labelled, nfe, config, floors, jax.random.fold_in(key, nfe))
    key, key_cell = jax.random.split(key)
    exact = [
        judging.exact_sampler(k, config.samples, noise=config.noise) for k in jax.random.split(key_cell, config.seeds)
    ]
    for nfe in config.nfe:
        yield from cell(judging.EXACT, exact, False, nfe, config, floors, jax.random.fold_in(key, nfe))


def cell(name: str, fakes: list, labelled: bool, nfe: int, config: Any, floors: dict, key: Any) -> list[Number]:
    """The numbers of one model at one number of steps, over seeds."""
    chosen = judging.FEW_STEP | (judging.PER_CLASS if labelled else {})
    chosen |= judging.AT_THE_END if nfe == max(config.nfe) else {}
    reals = [judging.truth(k, config.samples, noise=config.noise) for k in jax.random.split(key, len(fakes))]
    draws = {
        metric: [[judging.judge(how, real, fake, config.blocks)] for real, fake in zip(reals, fakes, strict=True)]
        for metric, how in chosen.items()
    }
    return [measured(name, metric, nfe, np.array(values), floors[metric]) for metric, values in draws.items()]


def shape_of_flows(found: list[Model], params: dict[str, list[Params]], key: Any):
    """Straightness and length of the flows of seed 0 in 50 steps, and their tracks."""
    shapes, tracks, grid = {}, {}, times.grid(50)
    for model in found:
        name, make_step = next(iter(model.steps.items()))
        x_1 = paths.prior(SCHEDULE, jax.random.clone(key), (_SHOWN, 2))
        labels = None if not model.labelled else np.arange(_SHOWN, dtype=np.int32) % 2
        step = make_step(params[model.name][0], labels)
        path = jax.jit(lambda x_1, step=step: samplers.sample_path(step, jax.random.key(1), x_1, grid))(x_1)
        if model.flow:
            length = flows.path_length(path) / np.linalg.norm(path[-1] - path[0], axis=-1)
            straightness = float(flows.straightness(path, grid).mean())
            shapes[name] = {"straightness": straightness, "length_over_distance": float(np.median(length))}
        tracks[name] = np.asarray(path)
    return shapes, tracks


def final_losses(folder: runs.Run, found: list[Model], config: Any) -> dict[str, float]:
    """Mean loss over the last 500 steps and the seeds."""
    rows = [row for row in runs.read_metrics(folder.path) if row["step"] > config.steps - 500]
    return {m.name: float(np.mean([row["loss"] for row in rows if row["job"].startswith(slug(m.name))])) for m in found}


def draw_figures(folder: runs.Run, found: list[Model], params: dict, tracks: dict, floors: dict, config: Any) -> None:
    """All figures, as PNG and GIF."""
    save: Callable[[Any, str], None] = lambda figure, name: figure.savefig(folder.path / name, dpi=110)  # noqa: E731
    grid = np.asarray(times.grid(50))
    watched_floors = {name: floors[f"watched_{name}"] for name in judging.WATCHED}
    save(figures.watched(runs.read_metrics(folder.path, "watched.jsonl"), watched_floors), "training.png")
    save(figures.losses(runs.read_metrics(folder.path)), "losses.png")
    save(figures.trajectories(tracks, grid), "trajectories.png")
    figures.animation(folder.path / "flow.gif", tracks, grid)
    clouds = {}
    for model in found:
        for name, make_step in model.steps.items():
            draw = sampler(model, make_step, _SHOWN)
            drawn = [draw(params[model.name][0], jax.random.key(9), times.grid(n)).x_0 for n in config.nfe]
            clouds[name] = [np.asarray(x_0) for x_0 in drawn]
    save(figures.few_steps(clouds, config.nfe), "samples.png")
