"""Negative log-likelihood under a Gaussian kernel density estimate.

    (A)  p(x) = mean_i N(x; fake_i, bandwidth^2 I),   nll = -mean_j log p(real_j)

The estimate is fitted to the samples and judged on real points, so a mode that was missed is what costs. It is never
below the entropy of the truth blurred by the same bandwidth: compare with the value between two real samples.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from ddjax.inputs import checked_array
from ddjax.metrics.points import on_device
from ddjax.types import Scalar, known


def kde_nll(
    real: Real[Array | np.ndarray, "n d"], fake: Real[Array | np.ndarray, "m d"], *, bandwidth: Scalar
) -> Float[Array, ""]:
    """Eq. (A), in nats for each point, in float32 or better; NaN for points that are not finite.

    Args:
        bandwidth: standard deviation of the kernel, in the units of the data.
    Raises: ValueError for samples of different dimension, or a bandwidth that is not positive and finite.
    """
    real, fake = checked_array(real, "samples [n, d]"), checked_array(fake, "samples [m, d]")
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1]:
        raise ValueError(f"need samples [n, d] and [m, d], got {real.shape=}, {fake.shape=}")
    if known(bandwidth) and not 0 < bandwidth < math.inf:
        raise ValueError(f"bandwidth must be positive and finite, got {bandwidth=}")
    return _kde_nll(real, fake, bandwidth)


@jax.jit
def _kde_nll(real: Array | np.ndarray, fake: Array | np.ndarray, bandwidth: Scalar) -> Float[Array, ""]:
    real, fake = on_device(real, fake)
    bandwidth = jnp.asarray(bandwidth, real.dtype)
    m, d = fake.shape
    columns = fake.T  # points along the last axis, as in `mmd`

    def log_prob(point: Float[Array, " d"]) -> Float[Array, ""]:
        squared = jnp.sum((point[:, None] - columns) ** 2, 0)
        return jax.nn.logsumexp(-squared / (2 * bandwidth**2))

    log_norm = math.log(m) + d / 2 * math.log(2 * math.pi) + d * jnp.log(bandwidth)
    return log_norm - jnp.mean(jax.lax.map(log_prob, real, batch_size=64))
