"""The main job behind `experiments.two_gaussians`: models, training, judging, report."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from ddjax import denoisers, metrics, mixtures, networks, objectives, schedules, scoring, times, weights
from ddjax.types import Denoiser, LossFn, Network, Params
from experiments import evaluation, figures, gaussian_report, jobs, runs, targets
from experiments.numbers import table

SCHEDULE = schedules.Rectified()
SPREAD_TIMES = np.linspace(0.2, 0.95, 16)


class Model(NamedTuple):
    """A trained model's parts."""

    name: str
    network: Network
    denoiser: Denoiser
    loss_fn: LossFn


def models(settings: Any) -> Iterator[Model]:
    """The models of a run: one DDM for each beta, and regression with the same net."""
    law = times.power(settings.time_exponent, base=times.stratified)
    weight = {"uniform": weights.uniform, "sigmoid": weights.sigmoid(SCHEDULE)}[settings.weight]
    sampled = {"times": law, "weight": weight}
    drawn = {"size": settings.population, "population": denoisers.folded_population}
    shape = {"width": settings.width, "depth": settings.depth}
    for beta in settings.beta:
        network = networks.mlp(2, inject=settings.inject, **shape)
        denoiser = denoisers.distributional(network, SCHEDULE, predicts=settings.predicts)
        score = scoring.Energy(beta, settings.lam)
        loss_fn = objectives.distributional(denoiser, SCHEDULE, score=score, **drawn, **sampled)
        yield Model(f"ddm-beta{beta:g}", network, denoiser, loss_fn)
    network = networks.mlp(2, inject=None, **shape)
    denoiser = denoisers.mean(network, SCHEDULE, predicts=settings.predicts)
    yield Model("regression", network, denoiser, objectives.denoising(denoiser, SCHEDULE, **sampled))


def optimizer(settings: Any) -> optax.GradientTransformation:
    """Adam with warm-up, cosine decay and clipping."""
    peak, steps = settings.learning_rate, settings.steps
    rate = optax.warmup_cosine_decay_schedule(0.0, peak, min(100, steps // 10), steps, peak / 100)
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate))


def train(model: Model, settings: Any, folder: runs.Run, seed: int) -> Params:
    """Train one model; the averaged parameters."""
    mixture = targets.two_gaussians()
    return jobs.train(
        folder,
        f"{model.name}-seed{seed}",
        model.network,
        model.loss_fn,
        optimizer(settings),
        lambda key: mixture.sample(key, settings.batch),
        seed=seed,
        steps=settings.steps,
        save_every=settings.save_every,
        ema_decay=settings.ema_decay,
    )


def load(path: Path, settings: Any, name: str | None) -> jobs.Trained:
    """A trained model of a saved run, ready to sample.

    Args:
        name: of the checkpoint folder, for instance "ddm-beta1-seed0"; None takes the first.
    Raises: ValueError for a name that the run does not have; FileNotFoundError where no intact checkpoint is left.
    """
    found = {f"{model.name}-seed{seed}": model for model in models(settings) for seed in range(settings.seeds)}
    name, params = jobs.trained(path, {job: model.network for job, model in found.items()}, optimizer(settings), name)
    return jobs.Trained(name, params, partial(denoisers.bind, found[name].denoiser), SCHEDULE, (2,))


def run(config: Any) -> None:
    """Train every model, judge them beside both oracles, write everything, print the table."""
    began = time.monotonic()
    trained = list(models(config))
    default = Path("runs/two_gaussians") / ("full" if config.full else "default")
    folder = runs.open_run("two_gaussians", config, default)
    params = {model.name: [train(model, config, folder, seed) for seed in range(config.seeds)] for model in trained}
    training_seconds = time.monotonic() - began
    if not runs.first_process():
        return

    mixture = targets.two_gaussians()
    key_floor, key_sweep, key_spread = jax.random.split(jax.random.key(2026), 3)
    floors = {}
    for metric in (evaluation.mmd2, evaluation.sliced_w2):
        floor = metrics.floor(
            metric, lambda key, n: mixture.sample(key, n), jax.random.clone(key_floor), n=config.samples
        )
        floors[metric.__name__] = (metric, floor)
    oracles = {
        "exact posterior (oracle)": mixtures.oracle(mixture, SCHEDULE),
        "exact mean (oracle)": mixtures.mean_oracle(mixture, SCHEDULE),
    }
    entries = [(model.name, model.denoiser, params[model.name]) for model in trained]
    entries += [(name, denoiser, [None]) for name, denoiser in oracles.items()]
    numbers, pictures = [], {}
    for (name, denoiser, of_seeds), key in zip(entries, jax.random.split(key_sweep, len(entries)), strict=True):
        draw = evaluation.make_draw(denoiser, SCHEDULE, (config.samples, 2))
        protocol = {"nfe": config.nfe, "churn": config.churn, "repeats": config.repeats}
        numbers += evaluation.sweep(name, draw, of_seeds, mixture, jax.random.clone(key), floors, **protocol)
        pictures[name] = [
            np.asarray(draw(of_seeds[0], key, config.churn[-1], times.grid(n)))[:2000] for n in config.nfe
        ]

    spreads = {
        model.name: evaluation.spread_curve(
            model.denoiser, params[model.name], mixture, SCHEDULE, key_spread, SPREAD_TIMES
        )
        for model in trained
        if model.name != "regression"
    }
    summary = {
        "experiment": "two_gaussians",
        "settings": folder.settings,
        "provenance": runs.provenance(),
        "seconds": {"training": round(training_seconds, 1), "total": round(time.monotonic() - began, 1)},
        "peak_memory_gb": round(runs.peak_memory_gb(), 2),
        "interval": "low and high are the smallest and largest of seeds x repeats fresh draws; value is the median over seeds",
        "numbers": [number.row() for number in numbers],
        "gap_closed": evaluation.gap_closed(numbers, "mmd2", "exact mean (oracle)"),
        "spread": {name: curve._asdict() for name, curve in spreads.items()},
    }
    folder.write_json("summary.json", summary)
    truth = np.asarray(mixture.sample(key_floor, 2000))
    figures.samples(pictures, truth, config.nfe).savefig(folder.path / "samples.png", dpi=110)
    figures.distance_by_steps(numbers, "mmd2", churn=config.churn[-1]).savefig(folder.path / "mmd2.png", dpi=110)
    figures.spread(spreads).savefig(folder.path / "spread.png", dpi=110)
    figures.training(runs.read_metrics(folder.path)).savefig(folder.path / "training.png", dpi=110)
    gaussian_report.write(folder.path, summary, numbers)
    print(table(numbers, "mmd2"))
    for name, shares in summary["gap_closed"].items():
        told = ", ".join(f"{steps}: {100 * share:.2f} %" for steps, share in shares.items())
        print(f"gap closed between the exact mean and the floor at equal steps, {name}: {told}")
    for name, curve in spreads.items():
        print(f"posterior spread, {name}: off by {100 * curve.mean_error:.1f} % on average over t in [.2, .95]")
    print(f"{summary['seconds']['total']:.0f} s, peak memory {summary['peak_memory_gb']} GB, results in {folder.path}")
