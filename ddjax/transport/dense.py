"""The Sinkhorn divergence by ott-jax, with dense costs."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ddjax.inputs import checked_count
from ddjax.transport.samples import Sample, centred, samples, squared_shift
from ddjax.types import Scalar, known

_LARGEST = 2**32  # bytes of the three cost matrices


class Sinkhorn(NamedTuple):
    """A Sinkhorn divergence, and whether it is finite and its solver reached the tolerance."""

    divergence: Float[Array, ""]
    converged: Bool[Array, ""]


def sinkhorn(x: Sample, y: Sample, *, blur: Scalar, tolerance: float = 1e-4, max_iterations: int = 5000) -> Sinkhorn:
    """The debiased divergence of `sinkhorn_divergence` with the solver's own word on convergence; usable under jit.

    Raises: ValueError for a blur that is not positive, samples in different spaces, or so many that their costs fill the memory.
    """
    x, y = samples(x, y)
    check_blur(blur)
    needed = 12 * max(len(x), len(y)) ** 2
    if needed > _LARGEST:
        raise ValueError(f"{len(x)} and {len(y)} points need {needed / 2**30:.1f} GiB of cost matrices; compare fewer")
    return _sinkhorn(x, y, blur, tolerance, checked_count(max_iterations, "max_iterations"))


def check_blur(blur: Scalar) -> None:
    """Raises: ValueError for a blur that is known and not a positive number."""
    if known(blur) and not 0 < blur < float("inf"):
        raise ValueError(f"need a positive blur, for blur must be positive and finite, got {blur=}")


def resolved(potential: Float[Array, " n"], temperature: Scalar, tolerance: Scalar) -> Bool[Array, ""]:
    """Whether a potential is rounded by less than what moves the marginals by the tolerance: if not, none can be shown."""
    return jnp.finfo(potential.dtype).eps * jnp.mean(jnp.abs(potential)) <= tolerance * temperature


@partial(jax.jit, static_argnames=("tolerance", "max_iterations"))
def _sinkhorn(x: Array, y: Array, blur: Scalar, tolerance: float, max_iterations: int) -> Sinkhorn:
    from ott.tools.sinkhorn_divergence import sinkdiv  # four seconds to import, which only its users should pay

    dtype, widest = x.dtype, jnp.result_type(float)  # ott makes its own arrays in the widest precision there is
    x, y, apart = centred(x.astype(widest), y.astype(widest))
    epsilon = 2 * jnp.asarray(blur).astype(widest) ** 2
    solve = {"threshold": tolerance, "max_iterations": max_iterations}
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        value, out = sinkdiv(x, y, epsilon=epsilon, solve_kwargs=solve)
    divergence = ((value + squared_shift(x, y, apart)) / 2).astype(dtype)
    shown = [resolved(potential, epsilon, tolerance) for pair in out.potentials or () for potential in pair]
    return Sinkhorn(divergence, jnp.all(jnp.asarray([*out.converged, *shown])) & jnp.isfinite(divergence))
