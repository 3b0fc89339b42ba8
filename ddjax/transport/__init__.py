"""Optimal transport between samples: exact assignment, and the entropic divergence of ott-jax and in blocks.

Conventions: the ground cost is Euclidean, ||x - y||^p for W_p. The Sinkhorn divergence follows geomloss (p = 2, blur):
cost ||x - y||^2 / 2 at temperature blur^2, which is half of ott's value with cost ||x - y||^2 at epsilon = 2 blur^2.

Nothing here calls the host, so all of it works under `jit`, `scan`, `vmap` and in threads, whatever the number of cores.
Samples may be of integers or of half precision: they are measured in float32, or in float64 where they come so. A NaN or
an infinity in a sample makes every distance NaN, and no solver that met one says that it converged.
"""

from ddjax.transport.blocked import sinkhorn_blocked
from ddjax.transport.dense import Sinkhorn, sinkhorn
from ddjax.transport.divergence import sinkhorn_divergence
from ddjax.transport.permutations import assignment
from ddjax.transport.wasserstein import wasserstein

__all__ = ["Sinkhorn", "assignment", "sinkhorn", "sinkhorn_blocked", "sinkhorn_divergence", "wasserstein"]
