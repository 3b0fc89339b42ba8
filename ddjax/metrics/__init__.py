"""Distances between samples, each with its floor; `reference` holds the settings of other people's tables."""

from ddjax.metrics import reference
from ddjax.metrics.classes import per_class
from ddjax.metrics.distances import sinkhorn_divergence, sliced_wasserstein, wasserstein
from ddjax.metrics.floors import Floor, floor
from ddjax.metrics.frechet import Statistics, cached_statistics, frechet_distance
from ddjax.metrics.kde import kde_nll
from ddjax.metrics.kernel_distance import KernelDistance, kernel_distance
from ddjax.metrics.manifold import PRDC, prdc
from ddjax.metrics.memorisation import Memorisation, memorisation
from ddjax.metrics.mmd import energy_distance, mmd
from ddjax.metrics.neighbours import nearest

__all__ = [
    "PRDC", "Floor", "KernelDistance", "Memorisation", "Statistics", "cached_statistics", "energy_distance", "floor",
    "frechet_distance", "kde_nll", "kernel_distance", "memorisation", "mmd", "nearest", "per_class", "prdc", "reference",
    "sinkhorn_divergence", "sliced_wasserstein", "wasserstein",
]  # fmt: skip
