"""Dual potentials of an assignment by Sinkhorn's iterations, while the temperature falls.

    (A)  n P_ij = exp((f_i + g_j - C_ij) / epsilon),  marginals 1/n

epsilon is best in units of what is left of the cost in the mean once each row, and then each column, has given up
its minimum: constants of rows and columns change no plan. The scalings are absorbed into f and g at each level, rows
last. The rows of the next kernel then sum to 1 and its columns to at least 1/n, both before the power that the fall of
epsilon raises them to, so that none of them vanishes whatever the cost.
References: Cuturi, arXiv 1306.0895; Schmitzer (absorption, scaling of epsilon), arXiv 1610.06519.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ddjax.types import Scalar

Potentials = tuple[Float[Array, " n"], Float[Array, " n"]]


@partial(jax.jit, static_argnames="iterations")
def anneal(
    cost: Float[Array, "n n"], start: Potentials, epsilons: Float[Array, " k"], iterations: int
) -> tuple[Potentials, Float[Array, ""]]:
    """f and g of eq. (A) after `iterations` at each epsilon, and the share of mass that missed the rows before the last
    absorption. Starts from the minima of rows and columns, given as f and g. Infinite costs forbid pairs; some permutation
    must do without them."""

    def level(potentials: Potentials, epsilon: Scalar) -> tuple[Potentials, Array]:
        f, g = potentials
        kernel = jnp.exp((f[:, None] + g[None, :] - cost) / epsilon)

        def scale(scalings: Potentials, _: None) -> tuple[Potentials, None]:
            u = 1 / (kernel @ scalings[1])
            return (u, 1 / (u @ kernel)), None

        ones = jnp.ones_like(f)
        (u, v), _ = jax.lax.scan(scale, (ones, ones), None, length=iterations)
        rows = kernel @ v
        lost = jnp.mean(jnp.abs(u * rows - 1)) / 2  # of the rows; columns are exact after the last scaling
        return (f - epsilon * jnp.log(rows), g + epsilon * jnp.log(v)), lost

    potentials, lost = jax.lax.scan(level, start, epsilons)
    return potentials, lost[-1]


@jax.jit
def reduced(cost: Float[Array, "n n"]) -> tuple[Float[Array, " n"], Float[Array, " n"], Float[Array, ""]]:
    """Minima of rows, then of columns, and the mean of what is left of the pairs that are not forbidden (above rounding)."""
    f = jnp.min(cost, 1)
    g = jnp.min(cost - f[:, None], 0)
    allowed = cost != jnp.inf
    left = jnp.where(allowed, cost - f[:, None] - g[None, :], 0.0)
    mean = jnp.sum(left) / jnp.sum(allowed, dtype=cost.dtype)
    info = jnp.finfo(cost.dtype)
    return f, g, jnp.maximum(mean, 100 * info.eps * jnp.max(jnp.abs(f)) + 100 * info.tiny)
