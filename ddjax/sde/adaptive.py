"""Adaptive simulation by diffrax: steps as small as the tolerance asks, along one Brownian path for each example.

    (A)  dx = f dt + G dW (Ito) = [f - 1/2 sum_j (G_j . grad) G_j] dt + G o dW (Stratonovich), G_j the columns of G

The solver is SPaRK, whose embedded error estimate serves noise of every form in Stratonovich's sense; the correction of (A) is 0
where G does not depend on x.
References: Foster, Dos Reis and Strange (SPaRK), arXiv 2210.09880; Kidger (diffrax), arXiv 2202.02435.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ddjax.compiled import compiled
from ddjax.flows.adaptive import Solution, finite, require_tolerance, warn_unless
from ddjax.inputs import checked_count, checked_key
from ddjax.sde.processes import SDE, diffusion_at, drift_at
from ddjax.types import Key, Scalar, floating


def integrate(
    sde: SDE,
    key: Key,
    x: Float[Array, "n d"],
    *,
    start: Scalar = 0.0,
    end: Scalar = 1.0,
    tolerance: Scalar = 1e-3,
    max_steps: int = 4096,
) -> Solution:
    """States at `end`, each example with steps of its own, error per step below tolerance (1 + |x|).

    Returns: a `flows.Solution`. Where `converged` is False, max_steps ran out or the process was not finite, and x is NaN;
        outside jit this warns too.
    Raises: ValueError for a tolerance or max_steps that is not positive and finite, an x of integers, or a drift or diffusion that
        does not fit.
    """
    x = floating(x, "states")
    require_tolerance(tolerance)
    max_steps = checked_count(max_steps, "max_steps")
    solution = _integrate(
        sde, checked_key(key), x, *(jnp.asarray(value, x.dtype) for value in (start, end, tolerance)), max_steps
    )
    warn_unless(solution.converged)
    return solution


@compiled
def _integrate(sde: SDE, key: Key, x: Array, start: Array, end: Array, tolerance: Array, max_steps: int) -> Solution:
    return jax.vmap(lambda key, x: _one(sde, key, x, start, end, tolerance, max_steps))(
        jax.random.split(key, x.shape[0]), x
    )


def _one(sde: SDE, key: Key, x: Array, start: Array, end: Array, tolerance: Array, max_steps: int) -> Solution:
    import diffrax  # seconds to import, which only its users should pay

    def matrix(x: Array, t: Array) -> Array:
        g = diffusion_at(sde, x, t)
        return g if g.ndim == 2 else jnp.diag(jnp.broadcast_to(g, x.shape))

    def drift(t: Array, x: Array, _: None) -> Array:
        def along(g: Array) -> Array:
            return jax.jvp(lambda x: matrix(x, t), (x,), (g,))[1]

        turned = jax.vmap(along, 1, 2)(matrix(x, t))  # [i, k, j]: the derivative of G_ik along G_j
        return drift_at(sde, x, t) - jnp.einsum("ijj->i", turned) / 2

    shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
    raw_key = jax.random.key_data(key)  # every look at the path begins with the same key again
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        noise = diffrax.VirtualBrownianTree(
            start, end, (end - start) / 2**14, shape, raw_key, levy_area=diffrax.SpaceTimeLevyArea
        )
        solution = diffrax.diffeqsolve(
            diffrax.MultiTerm(
                diffrax.ODETerm(drift), diffrax.ControlTerm(lambda t, x, _: matrix(x, jnp.asarray(t, x.dtype)), noise)
            ),
            diffrax.SPaRK(),
            t0=start,
            t1=end,
            dt0=(end - start) / 64,
            y0=x,
            stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance, dtmin=(end - start) / 2**13),
            max_steps=max_steps,
            throw=False,
        )
    converged = (solution.result == diffrax.RESULTS.successful) & finite(solution.ys)
    return Solution(jnp.where(converged, solution.ys[-1], jnp.nan), solution.stats["num_steps"], converged)  # pyright: ignore[reportOptionalSubscript]
