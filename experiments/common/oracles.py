"""Distances between points, and the exact samplers of a mixture that trained models stand beside."""

from typing import Any

import jax

from ddjax import judging, metrics, mixtures, schedules
from ddjax.judging import Metric
from ddjax.mixtures import GaussianMixture
from ddjax.recipes import sampling

EXACT, MEAN = "exact posterior (oracle)", "exact mean (oracle)"


def distances() -> dict[str, Metric]:
    """The two distances of every table, with what they are."""
    sliced = lambda x, y: metrics.sliced_wasserstein(x, y, jax.random.key(0), p=2.0, projections=64)  # noqa: E731
    mmd2 = "MMD², Gaussian kernel of bandwidth 1, U-statistic (may be negative)"
    sliced_w2 = "Sliced W₂, Euclidean ground cost, power 2, 64 projections"
    return {
        "mmd2": Metric(mmd2, judging.on_points(metrics.mmd)),
        "sliced_w2": Metric(sliced_w2, judging.on_points(sliced)),
    }


def oracles(mixture: GaussianMixture) -> dict[str, Any]:
    """Draws by the bridge of the exact posterior and of its mean, the best that a classical model can learn, by name."""
    shape, schedule = mixture.means.shape[1:], schedules.Rectified()
    return {
        name: sampling.drawing(sampling.by_bridge(oracle(mixture, schedule), schedule, shape))
        for name, oracle in ((EXACT, mixtures.oracle), (MEAN, mixtures.mean_oracle))
    }
