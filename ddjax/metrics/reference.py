"""The five numbers of the public two-moons page, in its settings, so that tables can be laid side by side.

    coverage, density   k = 5
    wasserstein_1       W_1 with Euclidean ground cost, both sets standardised by the real one (mean, std, per axis)
    mmd_v               MMD^2, kernel exp(-gamma ||x - y||^2) with gamma = 1, V-statistic
    sinkhorn_cost       <P, ||x - y||^2> at the entropic plan, regularisation .1, not debiased

The last two are biased: they do not vanish at the truth, and fall with n. Judge models by `metrics.mmd` and
`metrics.sinkhorn_divergence`, and read these beside their floors.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ddjax import scoring
from ddjax.metrics.manifold import prdc
from ddjax.metrics.mmd import mmd
from ddjax.transport import wasserstein
from ddjax.types import known

Points = Float[Array | np.ndarray, "_ d"]


class EntropicCost(NamedTuple):
    """A transport cost, and whether its solver reached the tolerance."""

    cost: Float[Array, ""]
    converged: Bool[Array, ""]


def coverage(real: Points, fake: Points) -> float:
    """Coverage with k = 5. Raises: as `metrics.prdc`."""
    return prdc(real, fake, k=5).coverage


def density(real: Points, fake: Points) -> float:
    """Density with k = 5. Raises: as `metrics.prdc`."""
    return prdc(real, fake, k=5).density


def wasserstein_1(real: Float[Array, "n d"], fake: Float[Array, "n d"]) -> Float[Array, ""]:
    """W_1 on coordinates standardised by the real set. Raises: ValueError as `metrics.wasserstein`, and for a constant axis."""
    mean, std = real.mean(0, keepdims=True), real.std(0, keepdims=True)
    if known(std) and not (std > 0).all():
        raise ValueError(f"cannot standardise a constant coordinate, got standard deviations {std}")
    return wasserstein((real - mean) / std, (fake - mean) / std, p=1.0)


def mmd_v(real: Float[Array, "n d"], fake: Float[Array, "m d"]) -> Float[Array, ""]:
    """MMD^2 by the V-statistic with kernel exp(-||x - y||^2). Raises: as `metrics.mmd`."""
    return mmd(real, fake, kernel=scoring.rbf(0.5**0.5), estimator="v")


def sinkhorn_cost(
    real: Float[Array, "n d"], fake: Float[Array, "m d"], *, regularisation: float = 0.1, tolerance: float = 1e-4
) -> EntropicCost:
    """<P, C> with C = ||x - y||^2 and P = argmin <P, C> + regularisation <P, log P>: POT's `sinkhorn2`.

    Raises: ValueError for samples of different dimension, or a regularisation that is not positive.
    """
    from ott.geometry.pointcloud import PointCloud  # seconds to import, which only its users should pay
    from ott.solvers import linear

    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1]:
        raise ValueError(f"need samples [n, d] and [m, d], got {real.shape=}, {fake.shape=}")
    if not regularisation > 0:
        raise ValueError(f"need positive regularisation, got {regularisation=}")
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        geometry = PointCloud(real, fake, epsilon=regularisation)
        out = linear.solve(geometry, threshold=tolerance, max_iterations=10_000)
        return EntropicCost(out.primal_cost, jnp.all(jnp.asarray(out.converged)))
