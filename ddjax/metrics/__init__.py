"""Distances between samples, each with its floor, and the calibration of draws; `reference` holds the settings of other people's
tables.
"""

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
from ddjax.metrics.ranks import RankHistogram, average_prerank, energy_prerank, pit, rank_histogram
from ddjax.metrics.spread_skill import spread_skill
from ddjax.metrics.tarp import Tarp, tarp
from ddjax.metrics.variogram import variogram_score

__all__ = [
    "PRDC", "Floor", "KernelDistance", "Memorisation", "RankHistogram", "Statistics", "Tarp", "average_prerank",
    "cached_statistics", "energy_distance", "energy_prerank", "floor", "frechet_distance", "kde_nll",
    "kernel_distance", "memorisation", "mmd", "nearest", "per_class", "pit", "prdc", "rank_histogram", "reference",
    "sinkhorn_divergence", "sliced_wasserstein", "spread_skill", "tarp", "variogram_score", "wasserstein",
]  # fmt: skip
