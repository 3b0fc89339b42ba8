"""Distances between samples, each with its floor; `reference` holds the settings of other people's tables."""

from ddjax.metrics import reference
from ddjax.metrics.classes import per_class
from ddjax.metrics.distances import sinkhorn_divergence, sliced_wasserstein, wasserstein
from ddjax.metrics.floors import Floor, floor
from ddjax.metrics.kde import kde_nll
from ddjax.metrics.manifold import PRDC, prdc
from ddjax.metrics.mmd import energy_distance, mmd

__all__ = [
    "PRDC", "Floor", "energy_distance", "floor", "kde_nll", "mmd", "per_class", "prdc", "reference",
    "sinkhorn_divergence", "sliced_wasserstein", "wasserstein",
]  # fmt: skip
