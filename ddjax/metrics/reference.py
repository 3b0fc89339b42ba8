"""The five numbers of the public two-moons page, in its settings, so that tables can be laid side by side.

    coverage, density   k = 5
    wasserstein_1       W_1 with Euclidean ground cost, both sets standardised by the real one (mean, std, per axis)
    mmd_v               MMD^2, kernel exp(-gamma ||x - y||^2) with gamma = 1, V-statistic
    sinkhorn_cost       <P, ||x - y||^2> at the entropic plan, regularisation .1, not debiased

The last two are biased: they do not vanish at the truth, and fall with n. Judge models by `metrics.mmd` and
`metrics.sinkhorn_divergence`, and read these beside their floors.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Num

from ddjax import scoring
from ddjax.metrics.manifold import prdc
from ddjax.metrics.mmd import mmd
from ddjax.transport import wasserstein
from ddjax.transport.dense import resolved
from ddjax.transport.samples import centred, samples, squared_shift
from ddjax.types import Scalar, known

Points = Num[Array | np.ndarray, "_ d"]


class EntropicCost(NamedTuple):
    """A transport cost, and whether it is finite and its solver reached the tolerance."""

    cost: Float[Array, ""]
    converged: Bool[Array, ""]


def coverage(real: Points, fake: Points) -> float:
    """Coverage with k = 5. Raises: as `metrics.prdc`."""
    return prdc(real, fake, k=5).coverage


def density(real: Points, fake: Points) -> float:
    """Density with k = 5. Raises: as `metrics.prdc`."""
    return prdc(real, fake, k=5).density


def wasserstein_1(real: Points, fake: Points) -> Float[Array, ""]:
    """W_1 on coordinates standardised by the real set. Raises: ValueError as `metrics.wasserstein`, and for a constant axis."""
    real, fake = samples(real, fake)
    if known(real) and (real.min(0) == real.max(0)).any():
        raise ValueError(f"cannot standardise a constant coordinate, got values from {real.min(0)} to {real.max(0)}")
    mean, std = real.mean(0, keepdims=True), real.std(0, keepdims=True)
    return wasserstein((real - mean) / std, (fake - mean) / std, p=1.0)


def mmd_v(real: Points, fake: Points) -> Float[Array, ""]:
    """MMD^2 by the V-statistic with kernel exp(-||x - y||^2). Raises: as `metrics.mmd`."""
    return mmd(real, fake, kernel=scoring.rbf(0.5**0.5), estimator="v")


def sinkhorn_cost(real: Points, fake: Points, *, regularisation: Scalar = 0.1, tolerance: float = 1e-4) -> EntropicCost:
    """<P, C> with C = ||x - y||^2 and P = argmin <P, C> + regularisation <P, log P>: POT's `sinkhorn2`.

    Raises: ValueError for samples of different dimension, or a regularisation that is not positive.
    """
    if known(regularisation) and not 0 < regularisation < float("inf"):
        raise ValueError(f"need positive regularisation, got {regularisation=}")
    return _sinkhorn_cost(*samples(real, fake), regularisation, tolerance)


@partial(jax.jit, static_argnames="tolerance")
def _sinkhorn_cost(real: Array, fake: Array, regularisation: Scalar, tolerance: float) -> EntropicCost:
    from ott.geometry.pointcloud import PointCloud  # seconds to import, which only its users should pay
    from ott.solvers import linear

    dtype, widest = real.dtype, jnp.result_type(float)  # ott makes its own arrays in the widest precision there is
    real, fake, apart = centred(real.astype(widest), fake.astype(widest))
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        geometry = PointCloud(real, fake, epsilon=jnp.asarray(regularisation).astype(widest))
        out = linear.solve(geometry, threshold=tolerance, max_iterations=10_000)
        cost = (out.primal_cost + squared_shift(real, fake, apart)).astype(dtype)
        shown = [resolved(potential, geometry.epsilon, tolerance) for potential in (out.f, out.g)]  # pyright: ignore[reportAttributeAccessIssue]
        return EntropicCost(cost, jnp.all(jnp.asarray([out.converged, *shown])) & jnp.isfinite(cost))
