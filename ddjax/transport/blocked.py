"""The Sinkhorn divergence in the memory of some rows of the cost.

    (A)  T(g)_i = -tau log mean_j exp((g_j - ||x_i - y_j||^2 / 2) / tau),   tau = blur^2
    (B)  OT(x, y) = max_g mean_i T(g)_i + mean_j g_j
    (C)  S(x, y) = OT(x, y) - OT(x, x) / 2 - OT(y, y) / 2

(B) is stationary in g at the solution: its gradient in x, y and blur is that of T with g held (envelope theorem).
Our own only until ott-jax releases its mended online mode. References: Feydy et al., arXiv 1810.08278, section 3.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ddjax.inputs import checked_count
from ddjax.transport.dense import Sinkhorn, check_blur, resolved
from ddjax.transport.samples import Sample, centred, samples, squared_shift
from ddjax.types import Scalar

_BLOCKS = {"cpu": 2**21}  # costs held at once: 8 MB of float32, which caches hold; elsewhere 128 MB, few kernels
_PRODUCT = 16  # dimensions from which a product of matrices is faster than the differences themselves


def sinkhorn_blocked(
    x: Sample, y: Sample, *, blur: Scalar, tolerance: float = 1e-3, max_iterations: int = 1000
) -> Sinkhorn:
    """The divergence of `sinkhorn_divergence`, eq. (C), for samples too large for ott's matrices; its gradient too.

    Log-domain iterations while the temperature halves from the squared diameter down to blur^2, then until the
    marginals of the plan are right to `tolerance` in L1. It says that it converged only where the precision can show
    that: in float32 for a blur above some hundredth of the data's size.

    Raises: ValueError for samples of different dimension or a blur that is not positive.
    """
    x, y = samples(x, y)
    check_blur(blur)
    return _sinkhorn_blocked(x, y, blur, tolerance, checked_count(max_iterations, "max_iterations"))


@jax.jit
def _sinkhorn_blocked(x: Array, y: Array, blur: Scalar, tolerance: Scalar, max_iterations: Array | int) -> Sinkhorn:
    dtype = x.dtype
    x, y, apart = centred(x, y)
    lowest = jnp.asarray(blur).astype(dtype) ** 2
    held_x, held_y, held = jax.lax.stop_gradient((x, y, lowest))
    widths = jnp.maximum(held_x.max(0), held_y.max(0)) - jnp.minimum(held_x.min(0), held_y.min(0))
    highest = jnp.sum(widths**2)

    def solve(update: Callable[[Array, Array], Array], size: int) -> tuple[Array, Array]:
        """Iterate potential <- update(potential, temperature) as the temperature falls; the potential, and converged."""

        def step(carry):
            i, potential, _ = carry
            temperature = jnp.maximum(highest * jnp.exp2(-i.astype(dtype)), held)
            updated = update(potential, temperature)
            moved = jnp.abs(updated - potential).mean() > tolerance * temperature  # the L1 error of the marginals
            return i + 1, updated, moved | (temperature > held)

        start = (jnp.zeros((), jnp.int32), jnp.zeros(size, dtype), jnp.asarray(True))
        _, potential, moving = jax.lax.while_loop(lambda carry: (carry[0] < max_iterations) & carry[2], step, start)
        return potential, ~moving & resolved(potential, held, tolerance)  # or it stands still wherever it is

    def self_update(a: Array) -> Callable[[Array, Array], Array]:
        return lambda f, temperature: (f + _soft_min(a, a, f, temperature)) / 2  # the average makes f = T(f) stable

    def cross_update(g: Array, temperature: Array) -> Array:
        return _soft_min(held_y, held_x, _soft_min(held_x, held_y, g, temperature), temperature)

    def value(a: Array, b: Array, g: Array) -> Array:
        return jnp.mean(_soft_min(a, b, g, lowest)) + jnp.mean(g)

    g, settled = solve(cross_update, len(y))
    g_x, settled_x = solve(self_update(held_x), len(x))
    g_y, settled_y = solve(self_update(held_y), len(y))
    divergence = value(x, y, g) - value(x, x, g_x) / 2 - value(y, y, g_y) / 2 + squared_shift(x, y, apart) / 2
    return Sinkhorn(divergence, settled & settled_x & settled_y & jnp.isfinite(divergence))


def _soft_min(x: Array, y: Array, potential: Array, temperature: Array) -> Array:
    """Eq. (A) in blocks of rows, which a gradient computes again instead of keeping them."""
    columns = y.T  # points along the last axis: many times faster on a CPU for small d
    lengths = jnp.sum(columns**2, 0) / 2

    @jax.checkpoint
    def row(point: Array) -> Array:
        if len(point) < _PRODUCT:
            cost = jnp.sum((point[:, None] - columns) ** 2, 0) / 2
        else:
            cost = jnp.sum(point**2) / 2 + lengths - jnp.dot(point, columns, precision="highest")
        return -temperature * (jax.nn.logsumexp((potential - cost) / temperature) - jnp.log(len(y)).astype(x.dtype))

    block = _BLOCKS.get(jax.default_backend(), 2**25)
    return jax.lax.map(row, x, batch_size=max(64, min(len(x), block // len(y))))
