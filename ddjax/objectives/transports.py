"""Optimal transport between what a denoiser says of a batch and the batch itself, in a space of features.

    (A)  xhat_i = denoiser(x_t_i, t_i, xi_i),   x_t = alpha x_0 + sigma noise,   t ~ times
    (B)  l' = S_blur({phi(xhat_i)}, {phi(x_0_i)}),   S the Sinkhorn divergence

With a denoiser that draws from the posterior, xhat has the law of x_0 and S is 0 at the truth, up to the noise of finite
batches. A posterior mean is less spread than the data, and S stays positive however well it is learned.
"""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ddjax import paths, transport
from ddjax import times as time_laws
from ddjax.inputs import checked_count, checked_denoiser, checked_key, checked_law
from ddjax.objectives.balance import Term
from ddjax.schedules import checked_schedule
from ddjax.transport.dense import check_blur
from ddjax.types import Batch, Denoiser, Key, Metrics, Params, Scalar, Schedule, shaped, standard_normal

_SOLVERS = {"dense": transport.sinkhorn, "blocked": transport.sinkhorn_blocked}
_FAR = 3.0  # radii of the data that a class stands from the origin in `within_classes`; float32 rounds what is farther


def flat(x: Float[Array, "batch *event"]) -> Float[Array, "batch d"]:
    """The data themselves as features."""
    return x.reshape(len(x), -1)


def within_classes(
    fake: Float[Array, "batch d"], real: Float[Array, "batch d"], labels: Int[Array, " batch"], classes: int
) -> tuple[Array, Array]:
    """Both with their labels as coordinates, so far apart that no mass moves from class to class.

    Classes have as many points in the one as in the other: S is then the mean over classes, by size, of each one's own S.
    """
    about = jnp.concatenate([fake, real]) - jnp.mean(real, 0, keepdims=True)
    radius = jax.lax.stop_gradient(jnp.sqrt(jnp.max(jnp.sum(about**2, 1))))
    place = _FAR * radius * jax.nn.one_hot(labels, classes, dtype=real.dtype)
    return jnp.concatenate([fake, place], 1), jnp.concatenate([real, place], 1)


def sinkhorn_term(
    denoiser: Denoiser,
    schedule: Schedule,
    *,
    blur: Scalar,
    relative: bool = False,
    features: Callable[[Array], Array] = flat,
    classes: int = 0,
    times: time_laws.Law = time_laws.uniform,
    solver: Literal["dense", "blocked"] = "blocked",
    iterations: int = 100,
) -> Term:
    """The term of eq. (B), for `objectives.balanced`.

    Args:
        blur: positive; with `relative` in units of the median distance between the features of the batch.
        features: phi, differentiable, images or points [batch, *event] -> [batch, d].
        classes: if positive, transport stays within the classes of the batch, whose cond are labels below it.
        solver: as in `transport.sinkhorn_divergence`. Its gradient is that at the solution held, by the envelope theorem.
        iterations: after which a solver stops unconverged: no step of training should wait for the last digit.
    Returns: term(params, key, batch) -> (l', metrics): `transport`, that is l', and `converged`, 1 where the solver says so.
    Raises: ValueError for a blur that is not positive, no iterations or another solver; the term, for a batch of one, or
        without labels where there are classes.
    """
    denoiser, schedule, times = checked_denoiser(denoiser), checked_schedule(schedule), checked_law(times)
    check_blur(blur)
    classes, iterations = checked_count(classes, "classes", least=0), checked_count(iterations, "iterations")
    if solver not in _SOLVERS:
        raise ValueError(f"need solver in {[*_SOLVERS]}, got {solver=}")

    def term(params: Params, key: Key, batch: Any) -> tuple[Array, Metrics]:
        x_0, cond = Batch.of(batch)
        if len(x_0) < 2:
            raise ValueError(f"transport is between batches of at least 2 examples, got {x_0.shape=}")
        if classes and cond is None:
            raise ValueError("transport within classes needs a batch (x_0, labels), got one without labels")
        key_time, key_noise, key_xi = jax.random.split(checked_key(key), 3)
        t = time_laws.drawn(times, key_time, x_0)
        noise = standard_normal(key_noise, x_0.shape, x_0.dtype)
        x_t = jax.vmap(lambda x_0, noise, t: paths.interpolate(schedule, x_0, noise, t))(x_0, noise, t)
        drawn = shaped(denoiser(params, key_xi, x_t, t, cond), x_0.shape, "a denoiser")
        fake, real = features(drawn), jax.lax.stop_gradient(features(x_0))
        temperature = blur * median_distance(real) if relative else blur
        if classes:
            fake, real = within_classes(fake, real, cond, classes)
        found = _SOLVERS[solver](fake, real, blur=temperature, max_iterations=iterations)
        told = {"transport": found.divergence, "converged": found.converged.astype(found.divergence.dtype)}
        return found.divergence, told

    return term


def median_distance(points: Float[Array, "n d"]) -> Float[Array, ""]:
    """The median of |p_i - p_j| over pairs of different points: the unit of a relative blur."""
    n = len(points)
    apart = jax.lax.map(lambda point: jnp.sqrt(jnp.sum((point[None] - points) ** 2, 1)), points, batch_size=64)
    return jnp.median(apart[jnp.triu_indices(n, 1)])
