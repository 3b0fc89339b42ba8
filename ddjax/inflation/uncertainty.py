"""What an uncertain x means: a cloud around it pushed into the latents, stirred there, and back.

The flow is one to one and known, so a law over x is a law over latents and back, without sampling error but that of the cloud.
References: de Albuquerque and Pearson, arXiv 2407.08843.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float

from ddjax import flows
from ddjax.inflation.maps import Method, generate, inflate
from ddjax.inflation.priors import Prior
from ddjax.inputs import checked_array, checked_count, checked_key
from ddjax.samplers import Times
from ddjax.types import Field, Key, Scalar, known, nan_unless_finite, standard_normal

Cloud = Float[Array, "n d"]


class Credible(NamedTuple):
    """Bounds [d] of the central interval of each coordinate, of the cloud that came back and of its latents; and both clouds."""

    low: Float[Array, " d"]
    high: Float[Array, " d"]
    latent_low: Float[Array, " d"]
    latent_high: Float[Array, " d"]
    x_0: Cloud
    latents: Cloud


def credible(
    field: Field,
    key: Key,
    cloud: Cloud,
    times: Times,
    *,
    level: float = 0.9,
    stir: Callable[[Key, Cloud], Cloud] | None = None,
    method: Method = flows.heun,
) -> Credible:
    """The credible intervals of `level`, in data and in latents, of a cloud of points: a `ball` around x, or a posterior's draws.

    Args:
        field, times, method: as in `inflate`. stir: what is added to the latents before they return, nothing unless told;
            `stirred(prior, std)` for instance.
    Raises: ValueError for a cloud of fewer than 2 points, a level outside (0, 1), or as `samplers.sample`.
    """
    cloud = checked_array(cloud, "a cloud [n, d]")
    if cloud.ndim != 2 or len(cloud) < 2 or not 0 < level < 1:
        raise ValueError(
            f"need a cloud [n, d] of at least 2 points and a level in (0, 1), got {cloud.shape=}, {level=}"
        )
    key_up, key_stir, key_down = jax.random.split(checked_key(key), 3)
    latents = inflate(field, key_up, cloud, times, method=method)
    latents = latents if stir is None else stir(key_stir, latents)
    back = generate(field, key_down, latents, times, method=method)
    shares = jnp.array([(1 - level) / 2, (1 + level) / 2])
    (low, high), (latent_low, latent_high) = (
        jnp.quantile(nan_unless_finite(x), shares, axis=0) for x in (back, latents)
    )
    return Credible(low, high, latent_low, latent_high, back, latents)


def stirred(prior: Prior, std: Scalar) -> Callable[[Key, Cloud], Cloud]:
    """Gaussian noise on latents, of `std` in units of the prior's. Raises: ValueError for a negative std."""
    if known(std) and not std >= 0:
        raise ValueError(f"std is a standard deviation and not negative, got {std=}")
    return Partial(_stirred, prior, jnp.asarray(std, float))


def _stirred(prior: Prior, std: Array, key: Key, latents: Array) -> Array:
    return latents + (std * prior.std)[None] * standard_normal(key, latents.shape, latents.dtype)


def ball(
    key: Key,
    centre: Float[Array, " d"],
    radius: Scalar,
    n: int,
    *,
    fill: Literal["ball", "sphere", "gaussian"] = "ball",
) -> Cloud:
    """n points around a centre: uniform in the ball, on its sphere, or Gaussian of standard deviation `radius`.

    To see what a flow does to a neighbourhood, push them through it: `inflate(field, key, ball(...), times)`.

    Raises: ValueError for n < 1, a radius that is not positive, or an unknown kind.
    """
    centre, n = checked_array(centre, "a centre [d]"), checked_count(n, "n")
    if known(radius) and not 0 < radius < jnp.inf:
        raise ValueError(f"a radius is positive and finite, got {radius=}")
    key_direction, key_length = jax.random.split(checked_key(key))
    direction = standard_normal(key_direction, (n, *centre.shape), centre.dtype)
    unit = direction / jnp.linalg.norm(direction, axis=-1, keepdims=True)
    lengths = {
        "ball": lambda: jax.random.uniform(key_length, (n, 1), centre.dtype) ** (1 / centre.size),
        "sphere": lambda: 1.0,
        "gaussian": lambda: jnp.linalg.norm(direction, axis=-1, keepdims=True),
    }
    if fill not in lengths:
        raise ValueError(f"fill is one of {sorted(lengths)}, got {fill!r}")
    return centre[None] + radius * lengths[fill]() * unit


class Distortion(NamedTuple):
    """A cloud before and after a map, and the principal standard deviations [d] of each, descending."""

    before: Cloud
    after: Cloud
    stds_before: Float[Array, " d"]
    stds_after: Float[Array, " d"]


def distorted(push: Callable[[Cloud], Cloud], cloud: Cloud) -> Distortion:
    """What a map, `lambda x: inflate(field, key, x, times)` for instance, does to a cloud."""
    cloud = checked_array(cloud, "a cloud [n, d]")
    after = push(cloud)
    return Distortion(cloud, after, _stds(cloud), _stds(after))


def _stds(cloud: Array) -> Array:
    centred = cloud - jnp.mean(cloud, 0, keepdims=True)
    return jnp.linalg.svd(centred, compute_uv=False) / jnp.sqrt(len(cloud) - 1.0)
