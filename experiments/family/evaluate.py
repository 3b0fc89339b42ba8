"""The targets that few-step models are compared on, with oracles and distances: laws in the plane in units of their own spread,
and digits with pixels in [-1, 1].

A law in the plane comes as a Gaussian mixture too: exact for the mixtures, as dense as its noise for the moons, and with edges
blurred by a tenth of a square's half width for the checkerboard. From it come both oracles: the exact posterior, and its mean, a
classical model with nothing left to learn. Truth is always drawn from the target itself. Of digits there are 1,797, and no law:
training draws from 1,437 of them, truth are some of the 360 held out, and floors are between disjoint digits of both.
"""

import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ddjax import data, judging, metrics, scoring, targets, training
from ddjax.data import toys
from ddjax.judging import Metric
from ddjax.mixtures import GaussianMixture
from ddjax.recipes import Recipe
from ddjax.runs import jobs
from ddjax.types import Batch, Key
from experiments.common import oracles as exact

NOISE = 0.03  # of the moons
BLOCK = 1000  # points of a W_1 in the plane
MEDIAN = 6.0  # distance between two digits, the bandwidth of their MMD
TIMED, ROUNDS = 100, 5  # training steps of a timed run, and runs

Sample = Callable[[Key, int], Array]


class Target(NamedTuple):
    """Draws [n, *event] to train on and to judge with, the law of both where there is one, and points of a W_1."""

    sample: Sample
    fresh: Sample
    law: GaussianMixture | None = None
    event: tuple[int, ...] = (2,)
    block: int = BLOCK


def _moons() -> GaussianMixture:
    angle = np.pi * (np.arange(200) + 0.5) / 200
    outer = np.stack([np.cos(angle), np.sin(angle)], -1)
    return _equal(np.concatenate([outer, np.array([1.0, 0.5]) - outer]), NOISE)


def _checkerboard() -> GaussianMixture:
    inside = np.stack(np.meshgrid(*[2 * (np.arange(10) + 0.5) / 10] * 2), -1).reshape(-1, 2)
    corners = [(2 * column - 4, 2 * (2 * row + column % 2) - 4) for column in range(4) for row in range(2)]
    return _equal(np.concatenate([np.array(corner) + inside for corner in corners]), 0.1)


def _equal(means: np.ndarray, std: float) -> GaussianMixture:
    k = len(means)
    return GaussianMixture(np.full(k, 1 / k), means, np.stack([std**2 * np.eye(2)] * k))


_LAWS: dict[str, Callable[[], GaussianMixture]] = {
    "two_gaussians": targets.two_gaussians,
    "eight_gaussians": lambda: GaussianMixture(*toys.eight_components()),
    "forty": lambda: GaussianMixture(*toys.forty_components()),
    "moons": _moons,
    "checkerboard": _checkerboard,
}
_DRAWS: dict[str, Sample] = {
    "moons": lambda key, n: toys.two_moons(key, n, noise=NOISE).x_0,
    "checkerboard": lambda key, n: toys.checkerboard(key, n).x_0,
}
PLANE = tuple(_LAWS)


@cache
def target(name: str) -> Target:
    """A target by its name; a law in the plane has mean 0 and mean variance 1 of a coordinate."""
    if name == "digits":
        return _digits()
    law = _LAWS[name]()
    draws = _DRAWS.get(name, law.sample)
    mean = np.asarray(law.mean(), np.float64)
    scale = float(np.sqrt(np.trace(np.asarray(law.cov(), np.float64)) / 2))
    means, covs = (np.asarray(part, np.float64) for part in (law.means, law.covs))
    sample = lambda key, n: (draws(key, n) - jnp.asarray(mean, float)[None]) / scale  # noqa: E731
    scaled = GaussianMixture(np.asarray(law.weights, np.float64), (means - mean) / scale, covs / scale**2)
    return Target(sample, sample, scaled)


@cache
def digits() -> tuple[Array, Array]:
    """Digits to train on, and those held out, as pixels in [-1, 1]."""
    train, test = (2 * jnp.asarray(data.load("digits", split).x, float) / 255 - 1 for split in ("train", "test"))  # pyright: ignore[reportAttributeAccessIssue]
    return train, test


def _digits() -> Target:
    train, test = digits()
    sample = lambda key, n: train[jax.random.randint(key, (n,), 0, len(train))]  # noqa: E731
    fresh = lambda key, n: jax.random.permutation(key, test)[:n]  # noqa: E731
    return Target(sample, fresh, event=train.shape[1:], block=len(test) // 2)


def truth(name: str) -> judging.Truth:
    """Fresh points of a target as vectors, as judges take them: n of them, or all that there are."""
    return lambda key, n: vectors(target(name).fresh(key, n))


def points(name: str, n: int) -> int:
    """Samples to judge with: n, but of digits as many as are held out, which is what their floor is measured at."""
    return n if name in PLANE else len(digits()[1])


def vectors(x_0: Array) -> Batch:
    """Events as vectors, for distances between points."""
    return Batch(x_0.reshape(len(x_0), -1))


def distances(name: str) -> dict[str, Metric]:
    """The two distances on a target; their names carry its own, and lengths are in its own units."""
    w_1, block = judging.on_points(partial(metrics.wasserstein, p=1.0)), target(name).block
    width = 1.0 if name in PLANE else MEDIAN
    kernel = judging.on_points(partial(metrics.mmd, kernel=scoring.rbf(width)))
    return {
        f"w1 {name}": Metric(f"{_told(name)}: W₁, Euclidean, blocks of {block:,}", w_1, block),
        f"mmd2 {name}": Metric(f"{_told(name)}: MMD², Gaussian kernel of bandwidth {width:g}, U-statistic", kernel),
    }


def floors(name: str, key: Key, *, n: int, repeats: int) -> dict[str, metrics.Floor]:
    """Each distance between two fresh samples of a target; of digits between disjoint ones, whichever were trained on."""
    chosen = distances(name)
    if name in PLANE:
        return judging.floors(truth(name), chosen, key, n=n, repeats=repeats)
    train, test = digits()
    found: dict[str, list[float]] = {metric: [] for metric in chosen}
    for key_pair in jax.random.split(key, repeats):
        mixed = vectors(jax.random.permutation(key_pair, jnp.concatenate([train, test]))).x_0
        for metric, (_, distance, points) in chosen.items():
            size = points or len(test)
            found[metric].append(distance(Batch(mixed[:size]), Batch(mixed[size : 2 * size])))
    return {metric: metrics.Floor(float(np.mean(of)), float(np.std(of, ddof=1))) for metric, of in found.items()}


def oracles(name: str) -> dict[str, Any]:
    """Draws by the bridge of the exact posterior and of its mean, where there is a law."""
    law = target(name).law
    return {} if law is None else exact.oracles(law)


def closed(numbers: Sequence[judging.Number], name: str) -> dict[str, dict[int, float]]:
    """The share of the gap in W_1 that each model closes on a target, where the exact mean is 4 deviations of a block off."""
    return judging.gap_closed(numbers, f"w1 {name}", exact.MEAN, deviations=4.0)


def churns(recipe: Recipe, churn: tuple[float, ...]) -> tuple[float | None, ...]:
    """The churns that a model is sampled with: of a bridge those asked for, of others none."""
    return churn if recipe.churns else (None,)


class Seconds(NamedTuple):
    """Of one model: seconds of a training step, and of drawing all samples, by number of steps."""

    step: float
    draw: dict[int, float]


def seconds(settings: Any, trained: Any, names: dict[str, str], batches: Any) -> dict[str, Seconds]:
    """How long models take: the fastest of interleaved rounds.

    Args:
        names: of the models that are timed: what tables call each. batches: (settings, recipe, seed) -> those to train on.
    """
    runs: dict[tuple[str, int | None], Callable[[], Any]] = {}
    for recipe, model in trained.pairs():
        if name := names.get(recipe.name):
            runs[name, None] = _training(recipe, model, batches(settings, recipe, 0))
            for n in settings.nfe:
                runs[name, n] = partial(_drawn, model, trained.params[model.name][0], settings.samples, n)
    best = _fastest(runs)
    return {
        name: Seconds(best[name, None] / TIMED, {n: best[name, n] for n in settings.nfe})
        for name, part in runs
        if part is None
    }


def _fastest(runs: dict[Any, Callable[[], Any]]) -> dict[Any, float]:
    """Of each the shortest of ROUNDS, one after the other, after one that compiles."""
    times: dict[Any, list[float]] = {name: [] for name in runs}
    for _ in range(1 + ROUNDS):
        for name, run in runs.items():
            began = time.perf_counter()
            jax.block_until_ready(run())
            times[name].append(time.perf_counter() - began)
    return {name: min(of[1:]) for name, of in times.items()}


def _drawn(model: Any, params: Any, n: int, steps: int) -> Array:
    return model.draw(params, jax.random.key(steps), n, steps=steps)


def _training(recipe: Recipe, model: Any, batch: Any) -> Any:
    """TIMED steps of training, from the same state each time."""
    state = jobs.initial_state(model.network, model.optimizer, 0)
    train_step = training.make_train_step(model.loss_fn, model.optimizer, ema_decay=recipe.optimizer.ema_decay)

    @jax.jit
    def run(state: Any) -> Any:
        return jax.lax.scan(lambda state, _: train_step(state, batch(state.keys()[0])), state, None, length=TIMED)

    return partial(run, state)


def _told(name: str) -> str:
    return name.replace("_", " ")
