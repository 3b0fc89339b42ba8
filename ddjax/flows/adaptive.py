"""Adaptive integration of a field by diffrax: each example with steps of its own, to a stated tolerance.

    (1)  x(end) = x(start) + integral of field(x(t), t) dt from start to end

Time may run either way: 1 to 0 samples, 0 to 1 encodes. One key serves a whole trajectory, so a field that
draws xi is integrated with that xi frozen, as an ordinary differential equation needs it.
References: Kidger (diffrax), arXiv 2202.02435; Tsitouras, Comput. Math. Appl. 62 (2011).
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ddjax.types import Field, Key, Scalar, known


class Solution(NamedTuple):
    """States at the end, the solver's steps (6 calls of the field each), and whether each was a success."""

    x: Float[Array, "batch *event"]
    steps: Int[Array, " batch"]
    converged: Bool[Array, " batch"]


def integrate(
    field: Field,
    key: Key,
    x: Float[Array, "batch *event"],
    *,
    start: Scalar = 1.0,
    end: Scalar = 0.0,
    tolerance: float = 1e-5,
    max_steps: int = 4096,
) -> Solution:
    """Eq. (1) by Tsitouras' method of order 5(4), error per step below tolerance (1 + |x|).

    The field is called at both ends: that of an x_0-denoiser (`flows.velocity`) is not a number at t = 0, so
    integrate it to a small `end`, such as 1e-3, and finish with one call of the denoiser.

    Returns: a Solution. Where `converged` is False, max_steps ran out or the field was not finite, and x is
    not to be
        trusted; outside jit this warns too.
    Raises: ValueError for a tolerance or max_steps that is not positive.
    """

    def slope(key: Key, t: Array, x: Array) -> Array:
        return field(key, x[None], t[None])[0]

    keys = jax.random.split(key, x.shape[0])
    end_state, steps, converged = jax.vmap(
        lambda key, x: solve(slope, key, x, start=start, end=end, tolerance=tolerance, max_steps=max_steps)
    )(keys, x)
    warn_unless(converged)
    return Solution(end_state, steps, converged)


def solve(
    slope: Callable[[Key, Array, Any], Any],
    key: Key,
    state: Any,
    *,
    start: Scalar,
    end: Scalar,
    tolerance: float,
    max_steps: int,
) -> tuple[Any, Int[Array, ""], Bool[Array, ""]]:
    """Integrate d state / dt = slope(key, t, state) for ONE example: (state at the end, steps, converged).

    The state is any pytree of floating arrays.

    Raises: ValueError for a tolerance or max_steps that is not positive.
    """
    import diffrax  # seconds to import, which only its users should pay

    if not tolerance > 0 or max_steps < 1:
        raise ValueError(f"need tolerance > 0 and max_steps >= 1, got {tolerance=}, {max_steps=}")
    dtype = jnp.result_type(*jax.tree.leaves(state))

    impl = jax.random.key_impl(key)

    def vector_field(t: Array, state: Any, raw_key: Array) -> Any:
        return slope(jax.random.wrap_key_data(raw_key, impl=impl), jnp.asarray(t, dtype), state)

    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(vector_field),
            diffrax.Tsit5(),
            t0=start,
            t1=end,
            dt0=None,
            y0=state,
            args=jax.random.key_data(key),  # every call of the field wraps the same key again
            stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
            max_steps=max_steps,
            throw=False,
        )
    end_state = jax.tree.map(lambda saved: saved[-1], solution.ys)
    # a field that is not finite has no step accepted, and so runs out of them
    return end_state, solution.stats["num_steps"], solution.result == diffrax.RESULTS.successful


def warn_unless(converged: Bool[Array, " batch"]) -> None:
    """Warn of trajectories that did not converge; under jit the flag is the caller's to read."""
    if known(converged) and not converged.all():
        lost = int(converged.size - converged.sum())
        warnings.warn(f"{lost} of {converged.size} trajectories did not converge", stacklevel=3)
