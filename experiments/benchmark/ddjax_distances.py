"""Distances and scores by ddjax."""

from functools import partial

import jax
import jax.numpy as jnp

from ddjax import metrics, scoring, transport
from experiments.benchmark import distances, jax_side
from experiments.benchmark.side import Side, Work


def make(method: str, sizes: dict[str, list[int]]) -> Side:
    """`method` at every size, {label: [n, d] or [n, m, d]}."""
    values, equal = distances.remembered(
        {label: partial(METHODS[method], *given(size)) for label, size in sizes.items()}
    )
    work = {label: Work(lambda value=value: jax.block_until_ready(value())) for label, value in values.items()}
    return Side(work, equal, jax_side.device(), jax_side.memory_mb, jax_side.matmul)


def given(size: list[int]) -> tuple[jax.Array, jax.Array]:
    """The arrays of a size."""
    made = distances.samples(*size) if len(size) == 2 else distances.forecasts(*size)
    return jnp.asarray(made[0]), jnp.asarray(made[1])


def converged(result: transport.Sinkhorn) -> jax.Array:
    """The divergence. Raises: ValueError where the solver gave up."""
    if not result.converged:
        raise ValueError("Sinkhorn did not converge: no value to compare")
    return result.divergence


def dense(x: jax.Array, y: jax.Array) -> jax.Array:
    """The Sinkhorn divergence by ott-jax."""
    return converged(transport.sinkhorn(x, y, blur=distances.BLUR))


def blocked(x: jax.Array, y: jax.Array) -> jax.Array:
    """The Sinkhorn divergence in blocks of rows."""
    return converged(transport.sinkhorn_blocked(x, y, blur=distances.BLUR))


@jax.jit
def _value_and_gradient(x: jax.Array, y: jax.Array) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
    def divergence(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        result = transport.sinkhorn_blocked(x, y, blur=distances.WIDE_BLUR)
        return result.divergence, result.converged

    return jax.value_and_grad(divergence, has_aux=True)(x)


def with_gradient(x: jax.Array, y: jax.Array) -> jax.Array:
    """The Sinkhorn divergence in blocks of rows, once its gradient in x is there. Raises: ValueError where the solver gave up."""
    (value, converged), gradient = jax.block_until_ready(_value_and_gradient(x, y))
    if not (converged and jnp.isfinite(gradient).all()):
        raise ValueError("Sinkhorn did not converge: no value to compare")
    return value


@jax.jit
def energy(draws: jax.Array, observed: jax.Array) -> jax.Array:
    """Mean fair energy score."""
    return jnp.mean(jax.vmap(scoring.energy_score)(draws, observed))


@jax.jit
def crps(draws: jax.Array, observed: jax.Array) -> jax.Array:
    """Mean fair CRPS."""
    return jnp.mean(jax.vmap(scoring.crps)(draws, observed))


METHODS = {
    "sinkhorn": dense,
    "sinkhorn blocked": blocked,
    "sinkhorn gradient": with_gradient,
    "exact": partial(transport.wasserstein, p=distances.POWER),
    "mmd": metrics.mmd,
    "energy": energy,
    "crps": crps,
}
