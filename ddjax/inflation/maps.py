"""The map between data and latents, both ways along one field, and there and back.

    (A)  inflate:  x_1 = x_0 + integral of field(x, t) dt from 0 to 1,    generate: the same from 1 to 0

A field is `field(key, x, t)` with its params bound (`flows.velocity(denoise, schedule)`), a method one of `flows.euler`, `heun`
and `rk4`, and `times` the grid of generation, from 1 down to data: an inflation climbs it. It ends at 0 where the field is
finite there (gamma > 0, or an exact field), else a little above (`grids.linear(n, last=1e-3)`).
References: de Albuquerque and Pearson, arXiv 2407.08843.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float

from ddjax import flows, samplers
from ddjax.inputs import checked_count, checked_denoise, checked_key
from ddjax.samplers import Times
from ddjax.types import Field, Key, Step, floating

Method = Callable[[Field], Step]
State = Float[Array, "batch *event"]


class Path(NamedTuple):
    """States along the way, the first and the last among them, and their times."""

    states: Float[Array, "kept batch *event"]
    times: Float[Array, " kept"]


class RoundTrip(NamedTuple):
    """What came back, the latents it came from (as they were sent), and the mean squared error of each example."""

    x_0: State
    latents: State
    error: Float[Array, " batch"]


def inflate(field: Field, key: Key, x_0: State, times: Times, *, method: Method = flows.heun) -> State:
    """The latents x_1 of data. Raises: ValueError as `samplers.sample`."""
    return samplers.sample(method(Partial(_reversed, checked_denoise(field, "field"))), key, x_0, _climbing(times))


def _reversed(field: Field, key: Key, x: Array, minus_t: Array) -> Array:
    return -field(key, x, -minus_t)


def _climbing(times: Times) -> Array:
    """The grid climbed, as the decreasing grid of -t that samplers walk: 1 - t would round the small times away."""
    return -samplers.decreasing(times)[::-1]


def generate(field: Field, key: Key, x_1: State, times: Times, *, method: Method = flows.heun) -> State:
    """The data of latents. Raises: ValueError as `samplers.sample`."""
    return samplers.sample(method(field), key, x_1, times)


def inflate_path(
    field: Field, key: Key, x_0: State, times: Times, *, every: int = 1, method: Method = flows.heun
) -> Path:
    """As `inflate`, with every `every`-th state and the last. Raises: ValueError for every < 1, or as `samplers.sample`."""
    climbing, every = _climbing(times), checked_count(every, "every")
    states = samplers.sample_path(method(Partial(_reversed, checked_denoise(field, "field"))), key, x_0, climbing)
    return _thinned(states, -climbing, every)


def round_trip(
    field: Field,
    key: Key,
    x_0: State,
    times: Times,
    *,
    send: Callable[[State], State] = lambda latents: latents,
    method: Method = flows.heun,
) -> RoundTrip:
    """Inflate, send the latents, generate: the error is that of the solver alone, unless `send` loses something.

    Args:
        send: what becomes of the latents, nothing unless told; `truncated(keep)` for instance.
    Raises: ValueError as `samplers.sample`.
    """
    key_up, key_down = jax.random.split(checked_key(key))
    latents = send(inflate(field, key_up, x_0, times, method=method))
    back = generate(field, key_down, latents, times, method=method)
    gap = jnp.asarray(back, float) - jnp.asarray(x_0, float)
    return RoundTrip(back, latents, jnp.mean(gap.reshape(len(gap), -1) ** 2, -1))


def truncated(keep: int, *, fill: Float[Array, " d"] | None = None) -> Callable[[Array], Array]:
    """Latents [batch, d] with their first `keep` coordinates, and `fill` (their mean [d], or 0) in the place of the others.

    Raises: ValueError for a negative keep; when called, for latents of integers, fewer coordinates or another shape.
    """
    return Partial(_truncated, checked_count(keep, "keep", least=0), fill)


def _truncated(keep: int, fill: Array | None, latents: Array) -> Array:
    if latents.ndim != 2 or latents.shape[1] < keep or (fill is not None and fill.shape != latents.shape[1:]):
        raise ValueError(f"need latents [batch, d], d >= {keep=}, and a fill [d], got {latents.shape=}")
    latents = floating(latents, "latents")
    fill = jnp.zeros(latents.shape[1:]) if fill is None else fill
    kept = jnp.arange(latents.shape[1]) < keep
    return jnp.where(kept[None], latents, fill.astype(latents.dtype)[None])


def _thinned(states: Array, times: Array, every: int) -> Path:
    kept = [*range(0, len(times) - 1, every), len(times) - 1]
    return Path(states[jnp.array(kept)], times[jnp.array(kept)])
