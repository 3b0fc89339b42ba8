"""Numbers of an image run, and samples to take them of."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ddjax import denoisers, metrics, paths, samplers, times
from ddjax.data import Images, to_float
from ddjax.types import Batch, Denoiser, Key, Params
from experiments.imaging.models import SCHEDULE

Features = Callable[[Array], np.ndarray]  # images [n, h, w, c] in [-1, 1] -> [n, d]

CHUNK = 500  # samples drawn at a time: the bound on memory


class Space(NamedTuple):
    """A space in which samples are compared, with the training and held-out sets in it."""

    name: str
    features: Features
    train: np.ndarray
    test: np.ndarray


def space(name: str, features: Features, train: Images, test: Images) -> Space:
    """Both splits of a data set in a space."""
    return Space(name, features, *(by_chunks(features, images.x) for images in (train, test)))


def by_chunks(features: Features, x: np.ndarray) -> np.ndarray:
    """Features of uint8 images."""
    return np.concatenate([features(to_float(jnp.asarray(x[i : i + CHUNK]))) for i in range(0, len(x), CHUNK)])


def pixels(x: Array) -> np.ndarray:
    """The images themselves, as vectors."""
    return np.asarray(x).reshape(len(x), -1)


def sampler(
    denoiser: Denoiser, event_shape: tuple[int, ...], churn: float, *, chunk: int = CHUNK
) -> Callable[..., Batch]:
    """`draw(params, key, labels, n, steps) -> Batch` of samples clipped to [-1, 1], `chunk` at a time."""

    @jax.jit
    def drawn_chunk(params: Params, key: Key, labels: Array | None, grid: Array) -> Array:
        key_prior, key_steps = jax.random.split(key)
        step = samplers.bridge(denoisers.bind(denoiser, params, labels), SCHEDULE, churn=churn)
        x_1 = paths.prior(SCHEDULE, key_prior, (chunk, *event_shape))
        return samplers.sample(step, key_steps, x_1, grid)

    def draw(params: Params, key: Key, labels: np.ndarray | None, n: int, steps: int) -> Batch:
        drawn = []
        for i, key_chunk in enumerate(jax.random.split(key, -(-n // chunk))):
            part = None if labels is None else jnp.asarray(np.resize(labels[i * chunk : (i + 1) * chunk], chunk))
            drawn.append(drawn_chunk(params, key_chunk, part, times.grid(steps)))
        return Batch(jnp.clip(jnp.concatenate(drawn)[:n], -1, 1), labels)

    return draw


def labels_like(images: Images, key: Key, n: int) -> np.ndarray | None:
    """Labels of samples: drawn from those of the training set."""
    if images.labels is None:
        return None
    return images.labels[np.asarray(jax.random.randint(key, (n,), 0, len(images.labels)))]


def judge(drawn: Batch, spaces: list[Space], classify: Callable[[Array], np.ndarray] | None) -> dict[str, float]:
    """Every number of one sample, against the held-out set."""
    found = {}
    for where in spaces:
        fake = np.concatenate([where.features(drawn.x_0[i : i + CHUNK]) for i in range(0, len(drawn.x_0), CHUNK)])
        found |= against_test(where, fake)
        found[f"memorisation {where.name}"] = metrics.memorisation(fake, where.train, where.test).ratio
    if classify is not None and drawn.cond is not None:
        found["class accuracy"] = float(np.mean(classify(drawn.x_0) == drawn.cond))
    return found


def floors(spaces: list[Space], classify: Callable[[Array], np.ndarray] | None, test: Images) -> dict[str, float]:
    """The training set in the place of the samples; for class accuracy and memorisation the held-out images themselves."""
    found = {}
    for where in spaces:
        found |= against_test(where, where.train) | {f"memorisation {where.name}": 1.0}  # fresh data, by its definition
    if classify is not None:
        found["class accuracy"] = float(np.mean(by_chunks(classify, test.x) == test.labels))
    return found


def against_test(where: Space, fake: np.ndarray) -> dict[str, float]:
    """The distances of one space."""
    found = {"frechet": metrics.frechet_distance(where.test, fake)}
    found["kernel distance"] = float(metrics.kernel_distance(where.test, fake, jax.random.key(0)).mean)
    found |= metrics.prdc(where.test, fake)._asdict()
    return {f"{name} {where.name}": value for name, value in found.items()}
