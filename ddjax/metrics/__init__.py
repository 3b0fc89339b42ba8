"""Distances between samples, each with its floor."""

from ddjax.metrics.distances import sinkhorn_divergence, sliced_wasserstein, wasserstein
from ddjax.metrics.floors import Floor, floor
from ddjax.metrics.mmd import energy_distance, mmd

__all__ = [
    "Floor", "energy_distance", "floor", "mmd", "sinkhorn_divergence", "sliced_wasserstein", "wasserstein",
]  # fmt: skip
