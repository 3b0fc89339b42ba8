"""Denoisers: `denoiser(params, key, x_t[batch, *event], t[batch], cond) -> one draw of x_0 [batch, *event]`.

A mean denoiser ignores the key; a distributional one draws xi ~ N(0, I) from it and pushes it through the network:
xhat = D(x_t, t, xi) is a draw of its model of p(x_0 | x_t). A population is `jax.vmap` over keys, so whatever does not
depend on xi is computed once.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ddjax.predictions import Kind, convert
from ddjax.types import Denoise, Denoiser, Key, Network, Params, Scalar, Schedule


def mean(network: Network, schedule: Schedule, *, predicts: Kind = "x0") -> Denoiser:
    """The posterior mean from a network without xi that predicts any kind."""

    def mean_denoiser(params: Params, key: Key, x_t: Array, t: Array, cond: Any = None) -> Array:
        return _to_x_0(schedule, x_t, t, network.apply(params, x_t, t, cond, None), predicts)

    return mean_denoiser


def distributional(network: Network, schedule: Schedule, *, predicts: Kind = "x0") -> Denoiser:
    """A draw from the learned posterior: the network also eats xi ~ N(0, I) of the shape of x_t.

    References: De Bortoli et al., arXiv 2502.02483, section 3.
    """

    def distributional_denoiser(params: Params, key: Key, x_t: Array, t: Array, cond: Any = None) -> Array:
        xi = jax.random.normal(key, x_t.shape, x_t.dtype)
        return _to_x_0(schedule, x_t, t, network.apply(params, x_t, t, cond, xi), predicts)

    return distributional_denoiser


def _to_x_0(schedule: Schedule, x_t: Array, t: Array, value: Array, predicts: Kind) -> Array:
    return jax.vmap(lambda x, t, value: convert(schedule, x, t, value, source=predicts, target="x0"))(x_t, t, value)


def population(
    denoiser: Denoiser,
    params: Params,
    key: Key,
    x_t: Float[Array, "batch *event"],
    t: Float[Array, " batch"],
    cond: Any = None,
    *,
    size: int,
) -> Float[Array, "batch size *event"]:
    """`size` draws of x_0 for each example, all sharing (x_t, t, cond) and differing in xi alone.

    Raises: ValueError for a size below 1.
    """
    if size < 1:
        raise ValueError(f"a population has at least 1 draw, got {size=}")
    keys = jax.random.split(key, size)
    return jax.vmap(lambda key: denoiser(params, key, x_t, t, cond), out_axes=1)(keys)


def folded_population(
    denoiser: Denoiser,
    params: Params,
    key: Key,
    x_t: Float[Array, "batch *event"],
    t: Float[Array, " batch"],
    cond: Any = None,
    *,
    size: int,
) -> Float[Array, "batch size *event"]:
    """The law of `population` from one call on a batch `size` times as long: shares nothing, and runs as plain products.

    The faster one on a CPU when xi is injected early (docs/performance.md). Raises: ValueError for a size below 1.
    """
    if size < 1:
        raise ValueError(f"a population has at least 1 draw, got {size=}")

    def repeated(a: Array) -> Array:
        return jnp.broadcast_to(a[None], (size, *a.shape)).reshape(-1, *a.shape[1:])

    draws = denoiser(params, key, repeated(x_t), repeated(t), jax.tree.map(repeated, cond))
    return jnp.moveaxis(draws.reshape(size, *x_t.shape), 0, 1)


def nested_population(
    denoiser: Denoiser,
    params: Params,
    key: Key,
    x_t: Float[Array, "batch *event"],
    t: Float[Array, " batch"],
    cond: Any = None,
    *,
    size: int,
) -> Float[Array, "batch size *event"]:
    """The law of `population`, as draws of one example inside `jax.vmap` over the examples; shares as much.

    A convolution merges the axes that it is mapped over into one. Here the example comes first in it, so that a batch that is
    split over devices stays split; with `population` every device would convolve the whole batch. Needs a denoiser that
    treats its examples independently. Raises: ValueError for a size below 1.
    """
    if size < 1:
        raise ValueError(f"a population has at least 1 draw, got {size=}")

    def one(keys: Array, x_t: Array, t: Array, cond: Any) -> Array:
        alone = jax.tree.map(lambda leaf: leaf[None], (x_t, t, cond))
        return jax.vmap(lambda key: denoiser(params, key, *alone)[0])(keys)

    return jax.vmap(one)(jax.random.split(key, (x_t.shape[0], size)), x_t, t, cond)


def bind(denoiser: Denoiser, params: Params, cond: Any = None) -> Denoise:
    """A denoiser with parameters and condition fixed, `denoise(key, x_t, t)`, as the samplers take it."""
    return lambda key, x_t, t: denoiser(params, key, x_t, t, cond)


def fixed_xi(denoise: Denoise, key: Key) -> Denoise:
    """The same xi at every step of the sampler, instead of fresh ones."""
    return lambda _, x_t, t: denoise(jax.random.clone(key), x_t, t)


def guided(
    denoiser: Denoiser,
    weight: Scalar,
    *,
    null: Any,
    interval: tuple[float, float] = (0.0, 1.0),
    shared_xi: bool = True,
) -> Denoiser:
    """Classifier-free guidance (1 - w) D(x_t, t, null) + w D(x_t, t, cond): w = 1 is conditional, w = 0 unconditional, bit for bit.

    A velocity (`ddjax.flows`) is guided by the same rule: it is an affine function of x_0, and the weights sum to 1.

    Args:
        null: the condition without information, of one example (broadcast over the batch).
        interval: times (low, high) inside which guidance acts; outside, w = 1.
        shared_xi: hand the same key to both branches (one draw moved), or two keys (two draws mixed).
    Raises: ValueError for an interval that is not 0 <= low <= high <= 1; the denoiser, when called without a condition.
    References: Ho and Salimans, arXiv 2207.12598; Kynkaanniemi et al. (interval), arXiv 2404.07724.
    """
    low, high = interval
    if not 0 <= low <= high <= 1:
        raise ValueError(f"guidance acts for times 0 <= low <= high <= 1, got {interval=}")

    def guided_denoiser(params: Params, key: Key, x_t: Array, t: Array, cond: Any) -> Array:
        if cond is None:
            raise ValueError(f"guidance by {weight=} mixes two conditions and needs labels, got {cond=}")
        nulls = jax.tree.map(lambda null, c: jnp.broadcast_to(jnp.asarray(null, c.dtype), c.shape), null, cond)
        key_cond, key_null = (key, jax.random.clone(key)) if shared_xi else jax.random.split(key)
        conditional = denoiser(params, key_cond, x_t, t, cond)
        unconditional = denoiser(params, key_null, x_t, t, nulls)
        w = jnp.where((t >= low) & (t <= high), weight, 1.0).reshape(-1, *[1] * (x_t.ndim - 1))
        return (1 - w) * unconditional + w * conditional

    return guided_denoiser
