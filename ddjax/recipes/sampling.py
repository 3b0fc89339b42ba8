"""Prior, bound model, steps, samples: written once, for bridges and flows alike.

(A)  x_1 ~ prior,   x_0 = samplers.sample(step, x_1, grid),   step made of (params, cond, churn, guidance)
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ddjax import denoisers, flows, paths, samplers
from ddjax import times as grids
from ddjax.flows import AverageVelocity
from ddjax.inputs import checked_count, checked_key
from ddjax.recipes.model import CHUNK
from ddjax.types import Denoiser, Field, Key, Params, Scalar, Schedule, Step, Velocity, known

Prior = Callable[[Key, tuple[int, ...]], Array]
# (params, cond, churn, guidance) -> a kernel of `samplers.sample`
MakeStep = Callable[[Params, Any, Scalar | None, Scalar], Step]
# (params, key, n, grid, cond, churn, guidance) -> x_0 [n, *event], pure, for one chunk
Sampler = Callable[..., Array]
# draw(params, key, n, *, steps, cond=None, churn=None, guidance=1.0) -> x_0 [n, *event], jitted, in chunks
Draw = Callable[..., Array]


def by_bridge(
    denoiser: Denoiser, schedule: Schedule, event_shape: tuple[int, ...], *, null: Any = None, path: bool = False
) -> Sampler:
    """Samples of a denoiser by `samplers.bridge`; churn is 1 unless told otherwise, and guidance needs `null`.

    Args:
        path: keep every state, [steps + 1, n, *event] from x_1 to x_0.
    """

    def step(params: Params, cond: Any, churn: Scalar | None, guidance: Scalar) -> Step:
        bound = denoisers.bind(_guided(denoiser, guidance, null), params, cond)
        return samplers.bridge(bound, schedule, churn=1.0 if churn is None else churn)

    return _sampler(step, partial(paths.prior, schedule), event_shape, path)


def by_flow(
    velocity: Velocity,
    schedule: Schedule,
    event_shape: tuple[int, ...],
    *,
    null: Any = None,
    prior: Prior | None = None,
    path: bool = False,
    method: Callable[[Field], Step] = flows.euler,
) -> Sampler:
    """Samples, or paths, that follow a velocity by a method, from the prior, N(0, sigma(1)^2) unless told otherwise.

    The sampler raises ValueError for a churn: a flow adds no noise.
    """

    def step(params: Params, cond: Any, churn: Scalar | None, guidance: Scalar) -> Step:
        _refuse(churn, "a flow follows its velocity without noise")
        return method(denoisers.bind(_guided(velocity, guidance, null), params, cond))

    return _sampler(step, prior or partial(paths.prior, schedule), event_shape, path)


def by_renoise(
    denoiser: Denoiser, schedule: Schedule, event_shape: tuple[int, ...], *, null: Any = None, path: bool = False
) -> Sampler:
    """Samples, or paths, of a consistency model by `samplers.renoise`. The sampler raises ValueError for a churn."""

    def step(params: Params, cond: Any, churn: Scalar | None, guidance: Scalar) -> Step:
        _refuse(churn, "a consistency model renoises in full")
        return samplers.renoise(denoisers.bind(_guided(denoiser, guidance, null), params, cond), schedule)

    return _sampler(step, partial(paths.prior, schedule), event_shape, path)


def by_jumps(
    average: AverageVelocity,
    schedule: Schedule,
    event_shape: tuple[int, ...],
    *,
    prior: Prior | None = None,
    path: bool = False,
) -> Sampler:
    """Samples, or paths, along an average velocity by `flows.jump`. The sampler raises ValueError for churn or guidance."""

    def step(params: Params, cond: Any, churn: Scalar | None, guidance: Scalar) -> Step:
        _refuse(churn, "a flow follows its velocity without noise")
        if not (known(guidance) and guidance == 1):
            raise ValueError(f"a mean flow has no guidance, got {guidance=}")
        return flows.jump(average, params, cond)

    return _sampler(step, prior or partial(paths.prior, schedule), event_shape, path)


def _refuse(churn: Scalar | None, why: str) -> None:
    if churn is not None:
        raise ValueError(f"{why}: leave churn out, got {churn=}")


def drawing(sampler: Sampler, *, chunk: int = CHUNK) -> Draw:
    """`draw(params, key, n, *, steps, cond=None, churn=None, guidance=1.0)`: n samples, `chunk` of them at a time.

    The samples of a chunk share a key, as those of one call of a sampler do: of more than `chunk` samples, another chunk draws
    others of the same law. `samplers.in_chunks` draws the same ones whatever the chunk is.

    Args of draw:
        steps: a number of them, or a grid of times from 1 down to 0. cond: arrays [n, ...], or None.
        churn: noise of the bridge in [0, 1]; None is the sampler's own. guidance: 1 samples the condition as it is.
    Raises: ValueError for a chunk below 1; draw, for n below 1, conditions that are not n, or what the sampler refuses.
    """
    if chunk < 1:
        raise ValueError(f"a chunk holds at least 1 sample, got {chunk=}")

    @partial(jax.jit, static_argnames=("n", "plain"))
    def drawn(params, key, grid, cond, churn, guidance, *, n: int, plain: bool) -> Array:
        one = partial(sampler, churn=churn, guidance=1.0 if plain else guidance)
        if n <= chunk:
            return one(params, key, n, grid, cond)
        parts = -(-n // chunk)
        conds = jax.tree.map(
            lambda c: jnp.resize(c, (parts * chunk, *c.shape[1:])).reshape(parts, chunk, *c.shape[1:]), cond
        )
        x_0 = jax.lax.map(
            lambda part: one(params, part[0], chunk, grid, part[1]), (jax.random.split(key, parts), conds)
        )
        return x_0.reshape(-1, *x_0.shape[2:])[:n]

    def draw(
        params: Params,
        key: Key,
        n: int,
        *,
        steps: Any,
        cond: Any = None,
        churn: Scalar | None = None,
        guidance: Scalar = 1.0,
    ) -> Array:
        n = checked_count(n, "n")
        if churn is not None and known(churn) and not 0 <= churn <= 1:
            raise ValueError(f"churn must lie in [0, 1], got {churn=}")
        if sizes := {np.shape(c)[:1] for c in jax.tree.leaves(cond)} - {(n,)}:
            raise ValueError(f"need a condition for each of {n=} samples, got {sizes.pop()}")
        grid = _padded(samplers.decreasing(grids.grid(steps) if isinstance(steps, int) else steps))
        plain = known(guidance) and guidance == 1  # what guidance by 1 returns, without the second branch
        return drawn(params, checked_key(key), grid, cond, churn, guidance, n=n, plain=bool(plain))

    return draw


def _padded(grid: Array) -> Array:
    """The grid with its last time repeated, to a power of 2 of steps and at least 64: their programs are few."""
    steps = len(grid) - 1
    return jnp.pad(grid, (0, max(64, 1 << (steps - 1).bit_length()) - steps), mode="edge")


def _sampler(make_step: MakeStep, prior: Prior, event_shape: tuple[int, ...], path: bool) -> Sampler:
    """Eq. (A)."""
    sample = samplers.sample_path if path else samplers.sample_until

    def sampler(params, key, n, grid, cond=None, *, churn=None, guidance=1.0) -> Array:
        key_prior, key_steps = jax.random.split(checked_key(key))
        step = make_step(params, cond, churn, guidance)
        return sample(step, key_steps, prior(key_prior, (n, *event_shape)), grid)

    return sampler


def _guided(model: Denoiser | Velocity, weight: Scalar, null: Any) -> Denoiser | Velocity:
    if known(weight) and weight == 1:
        return model
    if null is None:
        raise ValueError(f"guidance needs a model with conditions to leave out, got {weight=}")
    return denoisers.guided(model, weight, null=null)
