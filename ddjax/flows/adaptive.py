"""Adaptive integration of a field by diffrax: each example with steps of its own, to a stated tolerance.

    (A)  x(end) = x(start) + integral of field(x(t), t) dt from start to end

Time may run either way: 1 to 0 samples, 0 to 1 encodes. One key serves a whole trajectory, so a field that
draws xi is integrated with that xi frozen, as an ordinary differential equation needs it.
References: Kidger (diffrax), arXiv 2202.02435; Tsitouras, Comput. Math. Appl. 62 (2011).
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from ddjax.compiled import compiled
from ddjax.inputs import checked_count, checked_field, checked_key
from ddjax.types import Key, Scalar, floating, known, shaped


class Solution(NamedTuple):
    """States at the end, the solver's steps (6 calls of the field each), and whether each was a success."""

    x: Float[Array, "batch *event"]
    steps: Int[Array, " batch"]
    converged: Bool[Array, " batch"]


def integrate(
    field: Callable[..., Array],
    key: Key,
    x: Float[Array, "batch *event"],
    *,
    cond: Any = None,
    start: Scalar = 1.0,
    end: Scalar = 0.0,
    tolerance: Scalar = 1e-5,
    max_steps: int = 4096,
) -> Solution:
    """Eq. (A) by Tsitouras' method of order 5(4), error per step below tolerance (1 + |x|).

    The field is called at both ends: that of an x_0-denoiser (`flows.velocity`) is not a number at t = 0, so
    integrate it to a small `end`, such as 1e-3, and finish with one call of the denoiser.

    Args:
        field: field(key, x, t), or where there is a `cond`, a pytree of arrays [batch, ...], field(key, x, t, cond), as
            `denoisers.bind(velocity, params)` takes it; called for each example with its own.
    Returns: a Solution. Where `converged` is False, max_steps ran out or the state or field was not finite, and x is NaN;
        outside jit this warns too.
    Raises: ValueError for a tolerance or max_steps that is not positive and finite, an x of integers, or a cond of another batch.
    """
    x = floating(x, "states")
    require_tolerance(tolerance)
    max_steps = checked_count(max_steps, "max_steps")
    require_batch(cond, x.shape[0])
    field = checked_field(field, cond)
    solution = _integrate(
        field, checked_key(key), x, cond, *(jnp.asarray(v, float) for v in (start, end, tolerance)), max_steps
    )
    warn_unless(solution.converged)
    return solution


@compiled
def _integrate(
    field: Callable[..., Array],
    key: Key,
    x: Array,
    cond: Any,
    start: Array,
    end: Array,
    tolerance: Array,
    max_steps: int,
) -> Solution:
    def one(key: Key, x_start: Array, cond: Any) -> Solution:
        slope = slope_of(field, cond, x.dtype)
        found = solve(slope, key, x_start, start=start, end=end, tolerance=tolerance, max_steps=max_steps)
        return Solution(found[0].astype(x.dtype), *found[1:])

    return jax.vmap(one)(jax.random.split(key, x.shape[0]), jnp.asarray(x, float), cond)


def slope_of(field: Callable[..., Array], cond: Any, dtype: Any) -> Callable[[Key, Array, Array], Array]:
    """The field for ONE example and its condition, which sees the dtype of the user's states and answers in float."""
    conds = () if cond is None else (jax.tree.map(lambda c: c[None], cond),)

    def slope(key: Key, t: Array, x: Array) -> Array:
        found = shaped(field(key, x[None].astype(dtype), t[None], *conds), (1, *x.shape), "a field")
        return found[0].astype(x.dtype)

    return slope


def require_tolerance(tolerance: Scalar) -> None:
    """Raises: ValueError for a tolerance that no solver can reach."""
    if known(tolerance) and not 0 < np.asarray(tolerance) < np.inf:
        raise ValueError(f"need a finite tolerance > 0, got {tolerance=}")


def require_batch(cond: Any, batch: int) -> None:
    """Raises: ValueError for a condition that has not one entry for each example."""
    if any(leaf.shape[:1] != (batch,) for leaf in jax.tree.leaves(cond)):
        shapes = [leaf.shape for leaf in jax.tree.leaves(cond)]
        raise ValueError(f"a condition has an entry for each of the {batch} examples, got arrays of {shapes=}")


def solve(
    slope: Callable[[Key, Array, Any], Any],
    key: Key,
    state: Any,
    *,
    start: Scalar,
    end: Scalar,
    tolerance: Scalar,
    max_steps: int,
) -> tuple[Any, Int[Array, ""], Bool[Array, ""]]:
    """Integrate d state / dt = slope(key, t, state) for ONE example: (state at the end, NaN unless converged; steps; converged).

    The state is any pytree of floating arrays.
    """
    import diffrax  # seconds to import, which only its users should pay

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
    # a field that is not finite has no step accepted, and so runs out of them; a state that is not may stand still
    converged = (solution.result == diffrax.RESULTS.successful) & finite(solution.ys)
    end_state = jax.tree.map(lambda saved: jnp.where(converged, saved[-1], jnp.nan), solution.ys)
    return end_state, solution.stats["num_steps"], converged


def finite(states: Any) -> Bool[Array, ""]:
    """Whether all numbers of a pytree are finite."""
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(states)]).all()


def warn_unless(converged: Bool[Array, " batch"]) -> None:
    """Warn of trajectories that did not converge; under jit the flag is the caller's to read."""
    if known(converged) and not converged.all():
        lost = int(converged.size - converged.sum())
        warnings.warn(f"{lost} of {converged.size} trajectories did not converge", stacklevel=3)
