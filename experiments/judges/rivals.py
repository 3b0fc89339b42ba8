"""The targets in the plane that few-step models are compared on, in units of their own spread, with oracles and distances.

Each target comes with its law as a Gaussian mixture: exact for the mixtures, as dense as its noise for the moons, and with edges
blurred by a tenth of a square's half width for the checkerboard. From it come both oracles: the exact posterior, and its mean, a
classical model with nothing left to learn. Truth is always drawn from the target itself.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ddjax import judging, metrics, mixtures, recipes, targets
from ddjax.data import toys
from ddjax.judging import Metric
from ddjax.mixtures import GaussianMixture
from ddjax.types import Batch, Key

NOISE = 0.03  # of the moons
BLOCK = 1000  # points of a W_1
EXACT, MEAN = "exact posterior (oracle)", "exact mean (oracle)"

Sample = Callable[[Key, int], Array]


class Target(NamedTuple):
    """Draws [n, 2] with mean 0 and mean variance 1 of a coordinate, and their law."""

    sample: Sample
    law: GaussianMixture


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
NAMES = tuple(_LAWS)


@cache
def target(name: str) -> Target:
    """A target by its name, in units of its own spread."""
    law = _LAWS[name]()
    draws = _DRAWS.get(name, law.sample)
    mean = np.asarray(law.mean(), np.float64)
    scale = float(np.sqrt(np.trace(np.asarray(law.cov(), np.float64)) / 2))
    means, covs = (np.asarray(part, np.float64) for part in (law.means, law.covs))
    return Target(
        lambda key, n: (draws(key, n) - jnp.asarray(mean, float)[None]) / scale,
        GaussianMixture(np.asarray(law.weights, np.float64), (means - mean) / scale, covs / scale**2),
    )


def truth(name: str) -> judging.Truth:
    """Fresh points of a target, as judges take them."""
    return lambda key, n: Batch(target(name).sample(key, n))


def distances(name: str) -> dict[str, Metric]:
    """The two distances on a target; their names carry its own, and lengths are in units of its spread."""
    w_1 = judging.on_points(partial(metrics.wasserstein, p=1.0))
    return {
        f"w1 {name}": Metric(f"{_told(name)}: W₁, Euclidean, blocks of {BLOCK:,}", w_1, BLOCK),
        f"mmd2 {name}": Metric(
            f"{_told(name)}: MMD², Gaussian kernel of bandwidth 1, U-statistic", judging.on_points(metrics.mmd)
        ),
    }


def oracles(name: str) -> dict[str, Any]:
    """Draws by the bridge of the exact posterior and of its mean."""
    return {
        of: recipes.drawing(recipes.by_bridge(oracle(target(name).law, recipes.SCHEDULE), recipes.SCHEDULE, (2,)))
        for of, oracle in ((EXACT, mixtures.oracle), (MEAN, mixtures.mean_oracle))
    }


def _told(name: str) -> str:
    return name.replace("_", " ")
