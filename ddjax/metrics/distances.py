"""Transport distances between samples."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ddjax.transport import sinkhorn_divergence, wasserstein
from ddjax.types import Key, Scalar

__all__ = ["sinkhorn_divergence", "sliced_wasserstein", "wasserstein"]


@partial(jax.jit, static_argnames=("p", "projections"))
def sliced_wasserstein(
    x: Float[Array, "n d"], y: Float[Array, "n d"], key: Key, *, p: Scalar = 2.0, projections: int = 256
) -> Float[Array, ""]:
    """Sliced W_p: the p-mean over random directions of the W_p of the projections, each exact by sorting.

    (mean_theta mean_i |sort(x theta)_i - sort(y theta)_i|^p)^(1/p). Raises: ValueError for unequal shapes or p < 1.
    References: Bonneel et al., J. Math. Imaging Vis. 51 (2015).
    """
    if x.shape != y.shape or x.ndim != 2:
        raise ValueError(f"sliced W_p needs two samples [n, d] of equal shape, got {x.shape=}, {y.shape=}")
    if p < 1 or projections < 1:
        raise ValueError(f"need p >= 1 and projections >= 1, got {p=}, {projections=}")
    directions = jax.random.normal(key, (projections, x.shape[1]))
    directions /= jnp.linalg.norm(directions, axis=1, keepdims=True)

    project = partial(jnp.dot, precision="highest")

    def along(direction: Array) -> Array:
        return jnp.mean(jnp.abs(jnp.sort(project(x, direction)) - jnp.sort(project(y, direction))) ** p)

    return jnp.mean(jax.lax.map(along, directions)) ** (1 / p)
