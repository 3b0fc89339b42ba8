"""Paths of an SDE on a grid of times: one `lax.scan`, `jax.vmap` over examples.

    (A)  x_s = x_t + f(x_t, t) dt + G(x_t, t) dW,   dW ~ N(0, dt I),  dt = s - t > 0           (Euler-Maruyama)
    (B)  x_s = x_t + [f(x_t, t) + f(x~, s)] / 2 dt + [G(x_t, t) + G(x_t, s)] / 2 dW             (Heun)
         x~ that of (A) with the same dW
    (C)  x <- x + size score(x) + sqrt(2 size) noise                                            (Langevin corrector)

In law (A) is of order 1, and (B) of order 2 where G does not depend on x; (B) takes G at the old state, and so stays Ito's. (C)
leaves the law with that score as it is, up to O(size).
References: Kloeden and Platen, Numerical Solution of SDEs, chapters 14 and 15; Song et al., arXiv 2011.13456, algorithm 1.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float

from ddjax.compiled import compiled
from ddjax.inputs import checked_array, checked_count, checked_function, checked_key
from ddjax.sde.processes import SDE, Score, diffusion_at, drift_at, times_vector
from ddjax.sde.reversal import still
from ddjax.types import Key, Scalar, floating, known, shaped, standard_normal

# method(sde, key, x, t, s) -> the state at s, of one example
Method = Callable[[SDE, Key, Array, Array, Array], Array]


def euler_maruyama(sde: SDE, key: Key, x: Array, t: Array, s: Array) -> Array:
    """Eq. (A)."""
    x = floating(x, "states")
    dw = jnp.sqrt(jnp.abs(s - t)) * standard_normal(key, x.shape, x.dtype)
    return x + drift_at(sde, x, t) * (s - t) + times_vector(diffusion_at(sde, x, t), dw)


def heun(sde: SDE, key: Key, x: Array, t: Array, s: Array) -> Array:
    """Eq. (B)."""
    x = floating(x, "states")
    dw = jnp.sqrt(jnp.abs(s - t)) * standard_normal(key, x.shape, x.dtype)
    slope, g = drift_at(sde, x, t), diffusion_at(sde, x, t)
    ahead = x + slope * (s - t) + times_vector(g, dw)
    return x + (slope + drift_at(sde, ahead, s)) / 2 * (s - t) + times_vector((g + diffusion_at(sde, x, s)) / 2, dw)


def predictor_corrector(
    score: Score, *, size: Scalar | Callable[[Array], Array], corrections: int = 1, predictor: Method = euler_maruyama
) -> Method:
    """A step of the predictor, then `corrections` steps of eq. (C) at the new time.

    Args:
        score: score(x, s) in the time of the SDE that is simulated: for one in reverse, score(x, horizon - tau).
        size: of a step, in squared units of the data: a positive number, or a function of time.
    Raises: ValueError for corrections < 1, or a size that is not positive.
    """
    corrections = checked_count(corrections, "corrections")
    if known(size) and not callable(size) and not np.asarray(size) > 0:
        raise ValueError(f"need a size > 0, got {size=}")
    return Partial(_corrected, checked_function(score, "score", "x", "s"), size, corrections, predictor)


def _corrected(
    score: Score,
    size: Scalar | Callable,
    corrections: int,
    predictor: Method,
    sde: SDE,
    key: Key,
    x: Array,
    t: Array,
    s: Array,
) -> Array:
    key_step, *keys = jax.random.split(checked_key(key), corrections + 1)
    eta = size(s) if callable(size) else size
    x = predictor(sde, key_step, x, t, s)
    for key_noise in keys:
        pull = shaped(score(x, s), x.shape, "a score")
        x = x + eta * pull + jnp.sqrt(2 * jnp.asarray(eta, x.dtype)) * standard_normal(key_noise, x.shape, x.dtype)
    return x


_METHODS = {"euler_maruyama": euler_maruyama, "heun": heun}


def simulate(
    sde: SDE,
    key: Key,
    x: Float[Array, "n *event"],
    times: Float[Array | np.ndarray, " k"],
    *,
    method: str | Method = "euler_maruyama",
    substeps: int = 1,
) -> Float[Array, "k n *event"]:
    """States at `times`, the first row x itself.

    Args:
        times: strictly increasing; for an `ordinary` SDE they may decrease instead.
        method: "euler_maruyama", "heun", or a function (sde, key, x, t, s) -> x_s of one example, as from `predictor_corrector`.
        substeps: equal steps between each two of the times.
    Raises: ValueError for times that do not grow, an unknown method, fewer than 1 substep, an x that is not floating, or a drift or
        diffusion of a shape that does not fit.
    """
    if isinstance(method, str) and method not in _METHODS:
        raise ValueError(f"a method is one of {sorted(_METHODS)} or a function, got {method!r}")
    x, times = checked_array(x, "states [n, *event]"), checked_array(times, "a vector of times")
    if x.ndim < 1 or not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"a simulation starts at floating states [n, *event], got {x.shape=}, {x.dtype=}")
    substeps = checked_count(substeps, "substeps")
    if times.ndim != 1 or times.shape[0] < 2:
        raise ValueError(f"need a vector of at least 2 times, got {times.shape=}")
    if known(times):
        gaps = np.diff(np.asarray(times))
        if not ((gaps > 0).all() or (sde.diffusion is still and (gaps < 0).all())):
            raise ValueError(
                f"times grow strictly: a diffusion runs one way (sde.reverse turns it round, sde.ordinary both), got {times=}"
            )
    step = _METHODS[method] if isinstance(method, str) else method
    return _simulate(
        sde, step, checked_key(key), x, jnp.asarray(times, np.promote_types(x.dtype, np.float32)), substeps
    )


@compiled
def _simulate(sde: SDE, step: Method, key: Key, x: Array, times: Array, substeps: int) -> Array:
    start = x.astype(times.dtype)

    def walk(x: Array, inputs: tuple[Key, Array, Array]) -> tuple[Array, Array]:
        key, t, s = inputs
        ends = t + (s - t) * jnp.linspace(0, 1, substeps + 1, dtype=t.dtype)

        def small(x: Array, inputs: tuple[Key, Array, Array]) -> tuple[Array, None]:
            key, t, s = inputs
            keys = jax.random.split(key, x.shape[0])
            return jax.vmap(lambda key, x: step(sde, key, x, t, s))(keys, x), None

        x, _ = jax.lax.scan(small, x, (jax.random.split(key, substeps), ends[:-1], ends[1:]))
        return x, x

    keys = jax.random.split(key, times.shape[0] - 1)
    _, states = jax.lax.scan(walk, start, (keys, times[:-1], times[1:]))
    return jnp.concatenate([start[None], states]).astype(x.dtype)
