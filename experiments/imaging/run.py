"""An image run: train every model, judge all of them, write everything."""

import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ddjax import data, denoisers, paths
from ddjax.data import Folder, Images
from ddjax.judging import Number, measured, table
from ddjax.types import Denoise, Params
from experiments import jobs, runs
from experiments.imaging import checks, feeds, figures, judging, page, spaces
from experiments.imaging.models import REGRESSION, SCHEDULE, Model, Subject, models, optimizer, parameters

_SHOWN = 12  # images in a row of a grid


def run(config: Any) -> None:
    """Everything behind `experiments.images`."""
    began = time.monotonic()
    train, held_out = feeds.load(config)
    checks.require_judgeable(train, held_out, config)
    found = list(models(config, train))
    subject = {"event_shape": list(train.shape), "classes": list(train.classes)}
    folder = runs.open_run("images", config, Path("runs/images") / config.preset, facts=subject)
    copies = checks.copies(train, held_out, config)
    print("\n".join(filter(None, (train.describe(), held_out.describe(), feeds.told(train, config), copies))))
    print(f"{parameters(found[0]):,} parameters")
    params = {model.name: [fit(model, config, folder, train, seed) for seed in range(config.seeds)] for model in found}
    trained = time.monotonic()
    if not runs.first_process():
        return

    seen, test = feeds.judged(train, config), feeds.judged(held_out, config)
    judges = spaces.of(seen, test, config.inception)
    numbers = list(judged(found, params, config, train, judges, judging.floors(judges, test)))
    summary = {
        "experiment": "images",
        "settings": folder.settings,
        "provenance": runs.provenance(),
        "data": [train.describe(), held_out.describe(), seen.attribution, copies],
        "classes": list(train.classes),
        "digest": {"train": train.digest, "test": held_out.digest},
        "parameters": {model.name: parameters(model) for model in found},
        "seconds": {"training": round(trained - began, 1), "total": round(time.monotonic() - began, 1)},
        "peak_memory_gb": round(runs.peak_memory_gb(), 2),
        "protocol": spaces.PROTOCOL.format(
            n=config.samples, test=len(test), train=len(seen), all=len(train), ema=config.ema_decay
        ),
        "interval": "value is the median over seeds; low and high are the smallest and largest seed",
        "numbers": [number.row() for number in numbers],
    }
    folder.write_json("summary.json", summary)
    draw_figures(folder, found, params, config, train, test, numbers)
    page.write(folder.path, summary, numbers)
    for metric in page.TABLES:
        if any(number.metric == metric for number in numbers):
            print(f"\n{metric}\n\n{table(numbers, metric)}")
    print(f"{summary['seconds']['total']:.0f} s, peak memory {summary['peak_memory_gb']} GB, results in {folder.path}")


def load(path: Path, settings: Any, name: str | None) -> jobs.Trained:
    """A trained model of a saved run, ready to sample its classes in turns.

    Args:
        name: of the checkpoint folder, for instance "ddm-beta-1-seed0"; None takes the first.
    Raises: ValueError for a name that the run does not have; FileNotFoundError where no intact checkpoint is left.
    """
    train = subject_of(settings)
    found = {f"{slug(m.name)}-seed{seed}": m for m in models(settings, train) for seed in range(settings.seeds)}
    name, params = jobs.trained(path, {job: model.network for job, model in found.items()}, optimizer(settings), name)

    def denoise(params: Params) -> Denoise:
        def in_turns(key: Array, x_t: Array, t: Array) -> Array:
            n = x_t.shape[0]  # a symbol where the sampler is exported
            labels = jnp.arange(n, dtype=jnp.int32) % len(train.classes) if train.classes else None
            return found[name].denoiser(params, key, x_t, t, labels)

        return in_turns

    return jobs.Trained(name, params, denoise, SCHEDULE, train.shape, classes=train.classes)


def subject_of(settings: Any) -> Subject:
    """What a saved run keeps of its images, or, where it keeps nothing, what its images say."""
    if hasattr(settings, "event_shape"):
        return Subject(tuple(settings.event_shape), tuple(settings.classes))
    train = data.load(settings.data, "train", size=getattr(settings, "image_size", None))
    return Subject(train.shape, train.classes)


def fit(model: Model, settings: Any, folder: runs.Run, train: Images | Folder, seed: int) -> Params:
    """Train one model, a grid of its samples drawn at every checkpoint of the first seed."""
    return jobs.train(
        folder,
        f"{slug(model.name)}-seed{seed}",
        model.network,
        model.loss_fn,
        optimizer(settings),
        feeds.batches(train, settings, seed),
        seed=seed,
        steps=settings.steps,
        save_every=settings.save_every,
        ema_decay=settings.ema_decay,
        watch=watcher(model, settings, folder, train) if seed == 0 else None,
    )


def slug(name: str) -> str:
    """A model's name as a folder."""
    return name.lower().replace(" ", "-")


def watcher(model: Model, settings: Any, folder: runs.Run, train: Images | Folder) -> jobs.Watch:
    """Draw samples at 1 and 4 steps into a picture that is replaced as training goes on."""
    draw = judging.sampler(model.denoiser, train.shape, settings.churn, chunk=_SHOWN)
    labels = shown_labels(train)

    def watch(params: Params) -> dict[str, float]:
        rows = {f"{n} step{'s' * (n > 1)}": draw(params, jax.random.key(3), labels, _SHOWN, n).x_0 for n in (1, 4)}
        figures.grid(rows, model.name).savefig(folder.path / f"while-training-{slug(model.name)}.png", dpi=110)
        return {}

    return watch


def shown_labels(train: Images | Folder) -> np.ndarray | None:
    """The classes in turns, for pictures."""
    return None if train.labels is None else np.arange(_SHOWN, dtype=np.int32) % len(train.classes)


def judged(
    found: list[Model],
    params: dict[str, list[Params]],
    config: Any,
    train: Images | Folder,
    judges: judging.Judges,
    floors: dict[str, float],
):
    """Every number of every model at every number of steps."""
    for model in found:
        draw = judging.sampler(model.denoiser, train.shape, config.churn)
        for nfe in config.nfe:
            by_seed = []
            for seed, of_seed in enumerate(params[model.name]):
                key_labels, key_draw = jax.random.split(jax.random.fold_in(jax.random.key(2026 + nfe), seed))
                labels = judging.labels_like(train, key_labels, config.samples)
                by_seed.append(judging.judge(draw(of_seed, key_draw, labels, config.samples, nfe), judges))
            for metric in by_seed[0]:
                values = np.array([[numbers[metric]] for numbers in by_seed])
                yield measured(model.name, metric, nfe, values, (floors[metric], None))


def draw_figures(
    folder: runs.Run,
    found: list[Model],
    params: dict,
    config: Any,
    train: Images | Folder,
    test: Images,
    numbers: list[Number],
) -> None:
    """Samples by number of steps, draws of the posterior of a noisy image, distances by steps, losses."""
    labels, rows = shown_labels(train), {}
    for model in found:
        draw = judging.sampler(model.denoiser, train.shape, config.churn, chunk=_SHOWN)
        for n in config.nfe:
            name = f"{model.name}, {n} step{'s' * (n > 1)}"
            rows[name] = draw(params[model.name][0], jax.random.key(3), labels, _SHOWN, n).x_0
        if model.name != REGRESSION:
            draws = figures.grid(posterior(model, params[model.name][0], test), f"{model.name}: draws of x_0 given x_t")
            draws.savefig(folder.path / f"posterior-{slug(model.name)}.png", dpi=110)
    rows["held out"] = np.asarray(data.to_float(jnp.asarray(test.x[:_SHOWN])))
    figures.grid(rows).savefig(folder.path / "samples.png", dpi=110)
    for metric, file in (("frechet pixels", "frechet-pixels.png"), ("frechet features", "frechet-features.png")):
        if any(number.metric == metric for number in numbers):
            figures.by_steps(numbers, metric, metric.replace("frechet", "Fréchet distance,")).savefig(
                folder.path / file, dpi=110
            )
    figures.losses(runs.read_metrics(folder.path)).savefig(folder.path / "losses.png", dpi=110)


def posterior(model: Model, params: Params, test: Images) -> dict[str, np.ndarray]:
    """One held-out image, noisier and noisier, and draws of what it could have been."""
    x_0 = data.to_float(jnp.asarray(test.x[:1]))
    cond = None if test.labels is None else jnp.asarray(test.labels[:1])
    rows = {}
    for t in (0.3, 0.6, 0.9):
        x_t = paths.interpolate(SCHEDULE, x_0, jax.random.normal(jax.random.key(11), x_0.shape), t)
        draws = denoisers.population(
            model.denoiser, params, jax.random.key(12), x_t, jnp.full(1, t), cond, size=_SHOWN - 2
        )
        rows[f"t = {t}"] = np.concatenate([np.asarray(x_0), np.asarray(x_t), np.asarray(draws[0])])
    return rows
