"""Denoisers: `denoiser(params, key, x_t[batch, *event], t[batch], cond) -> one draw of x_0 [batch, *event]`.

A mean denoiser ignores the key; a distributional one draws xi ~ N(0, I) from it and pushes it through the network:
xhat = D(x_t, t, xi) is a draw of its model of p(x_0 | x_t). A population is `jax.vmap` over keys, so whatever does not
depend on xi is computed once.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float

from ddjax.compiled import compiled
from ddjax.inputs import checked_array, checked_count, checked_denoise, checked_denoiser, checked_key, checked_keys
from ddjax.predictions import Kind, convert, of_network
from ddjax.schedules import checked_schedule
from ddjax.types import (
    Denoise,
    Denoiser,
    Key,
    Keys,
    Network,
    Params,
    Scalar,
    Schedule,
    floating,
    known,
    precise,
    shaped,
    standard_normal,
)


def mean(network: Network, schedule: Schedule, *, predicts: Kind = "x0") -> Denoiser:
    """The posterior mean from a network without xi that predicts any kind."""
    return Partial(of_network, Network.of(network), checked_schedule(schedule), predicts, "x0")


def distributional(network: Network, schedule: Schedule, *, predicts: Kind = "x0") -> Denoiser:
    """A draw from the learned posterior: the network also eats xi ~ N(0, I) of the shape of x_t.

    For an array of keys [size] there is a draw for each, [batch, size, *event], in one call of the network.

    References: De Bortoli et al., arXiv 2502.02483, section 3.
    """
    return Partial(_draw, Network.of(network), checked_schedule(schedule), predicts)


def _draw(
    network: Network, schedule: Schedule, predicts: Kind,
    params: Params, key: Key | Keys, x_t: Array, t: Array, cond: Any = None,
) -> Array:  # fmt: skip
    key = checked_keys(key)
    xi = _xi(key, x_t) if key.ndim == 0 else jax.vmap(_xi, (0, None), 1)(key, x_t)
    value = shaped(network.apply(params, x_t, t, cond, xi), xi.shape, "a network")
    return _to_x_0(schedule, x_t, t, value, predicts)


def _xi(key: Key, x_t: Array) -> Array:
    return standard_normal(key, x_t.shape, x_t.dtype)


def _to_x_0(schedule: Schedule, x_t: Array, t: Array, value: Array, predicts: Kind) -> Array:
    def one(x_t: Array, t: Array, value: Array) -> Array:
        return convert(schedule, x_t, t, value, source=predicts, target="x0")

    draws = value.ndim > x_t.ndim  # [batch, size, *event]
    return jax.vmap(jax.vmap(one, (None, None, 0)) if draws else one)(x_t, t, value)


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

    >>> noisy = lambda params, key, x_t, t, cond: x_t + jax.random.normal(key, x_t.shape)
    >>> population(noisy, None, jax.random.key(0), jnp.zeros((5, 2)), jnp.full(5, 0.5), size=7).shape
    (5, 7, 2)
    """
    x_t, t = checked_array(x_t, "x_t [batch, *event]"), checked_array(t, "times [batch]")
    size = checked_count(size, "size")
    denoiser, keys = checked_denoiser(denoiser), jax.random.split(checked_key(key), size)
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
    """The draws of `population` from one call of a `distributional` denoiser on a network of `ddjax.networks`.

    The network computes once what does not depend on xi, and the rest on a batch `size` times as long, in plain products:
    faster than under `vmap` (docs/performance.md). Raises: ValueError for a size below 1.
    """
    x_t, t = checked_array(x_t, "x_t [batch, *event]"), checked_array(t, "times [batch]")
    size = checked_count(size, "size")
    return checked_denoiser(denoiser)(params, jax.random.split(checked_key(key), size), x_t, t, cond)


@jax.tree_util.register_pytree_node_class
@dataclass(frozen=True, eq=False)
class Posterior:
    """A denoiser's law of x_0 given x_t [batch, *event] at times t [batch]: what `posterior` returns.

    A key means the same n draws in all three methods: `mean` and `cov` are the moments of what `sample` returns, in float32 or
    better, from blocks of draws that are not kept. All are differentiable by params, x_t, t and cond, along each draw.
    """

    denoiser: Denoiser
    params: Params
    x_t: Float[Array, "batch *event"]
    t: Float[Array, " batch"]
    cond: Any = None

    def sample(self, key: Key, n: int) -> Float[Array, "batch n *event"]:
        """n draws for each example. Raises: ValueError for n < 1."""
        return population(self.denoiser, self.params, key, self.x_t, self.t, self.cond, size=n)

    def mean(self, key: Key, n: int) -> Float[Array, "batch *event"]:
        """The mean of n draws. Raises: ValueError for n < 1."""
        return self._moments(key, n, least=1)[0].reshape(self.x_t.shape)

    def cov(self, key: Key, n: int) -> Float[Array, "batch d d"]:
        """The unbiased covariance of n draws of flattened events, n - 1 in the denominator. Raises: ValueError for n < 2."""
        return self._moments(key, n, least=2)[1]

    def _moments(self, key: Key, n: int, *, least: int) -> tuple[Array, Array | None]:
        n = checked_count(n, "n", least=least)
        return _moments(self.denoiser, self.params, checked_key(key), self.x_t, self.t, self.cond, n, least > 1)

    def tree_flatten(self):
        """Leaves: those of params, x_t, t and cond."""
        return (self.params, self.x_t, self.t, self.cond), self.denoiser

    @classmethod
    def tree_unflatten(cls, denoiser, leaves):
        """Rebuild without checks: leaves may be tracers."""
        found = object.__new__(cls)
        for name, value in zip(("denoiser", "params", "x_t", "t", "cond"), (denoiser, *leaves), strict=True):
            object.__setattr__(found, name, value)
        return found


def posterior(
    denoiser: Denoiser, params: Params, x_t: Float[Array, "batch *event"], t: Float[Array, " batch"], cond: Any = None
) -> Posterior:
    """The law of x_0 given x_t that a denoiser draws from, as a value: `.sample(key, n)`, `.mean(key, n)`, `.cov(key, n)`.

    It is a pytree, of which the denoiser is no leaf. A derivative goes along each draw with its xi fixed, which for a smooth
    function of x_t and xi is the derivative of the law. Of the exact posterior it is

        d E[x_0 | x_t] / d x_t = alpha / sigma^2 Cov(x_0 | x_t).

    `mixtures.oracle` of several components is not smooth: a draw chooses its component, and a choice has no derivative. What comes
    out is alpha / sigma^2 times the covariance inside the components, without that between them; `mixtures.mean_oracle` has both.

    Raises: ValueError for an x_t that is not [batch, *event], or a t that is not [batch].
    References: Efron, JASA 106 (2011), section 2: the formulas of Tweedie, of first and second order.

    >>> blur = lambda params, key, x_t, t, cond: x_t + params * jax.random.normal(key, x_t.shape)
    >>> found = posterior(blur, 2.0, jnp.ones((5, 3)), jnp.full(5, 0.5))
    >>> found.sample(jax.random.key(0), 7).shape, found.cov(jax.random.key(0), 7).shape
    ((5, 7, 3), (5, 3, 3))
    """
    x_t, t = checked_array(x_t, "x_t [batch, *event]"), checked_array(t, "times [batch]")
    if x_t.ndim < 1 or t.shape != x_t.shape[:1]:
        raise ValueError(f"a posterior is of x_t [batch, *event] at times t [batch], got {x_t.shape=}, {t.shape=}")
    return Posterior(checked_denoiser(denoiser), params, x_t, t, cond)


_BLOCK = 64  # draws in memory at once where only their moments are wanted


@compiled
def _moments(
    denoiser: Denoiser, params: Params, key: Key, x_t: Array, t: Array, cond: Any, n: int, second: bool
) -> tuple[Array, Array | None]:
    """Mean [batch, d] and, if asked for, covariance [batch, d, d]: sums over blocks, about one draw so that no digit cancels."""
    keys = jax.random.split(key, n)

    def draw(key: Key) -> Array:
        return precise(denoiser(params, key, x_t, t, cond)).reshape(x_t.shape[0], -1)

    about = jax.lax.stop_gradient(draw(jax.random.clone(keys)[0]))

    @jax.checkpoint  # so that a gradient has one block in memory too
    def sums(keys: Keys) -> tuple[Array, Array | None]:
        centred = jax.vmap(draw)(keys) - about[None]
        products = jnp.einsum("nbi,nbj->bij", centred, centred, precision="highest") if second else None
        return jnp.sum(centred, 0), products

    first = n % _BLOCK or _BLOCK
    blocks = jax.random.clone(keys)[first:].reshape(-1, _BLOCK)
    total = sums(keys[:first])
    if len(blocks):
        total, _ = jax.lax.scan(lambda total, keys: (jax.tree.map(jnp.add, total, sums(keys)), None), total, blocks)
    shift, products = total
    if products is not None:
        products = (products - shift[:, :, None] * shift[:, None, :] / n) / (n - 1)
    return about + shift / n, products


def bind(denoiser: Denoiser, params: Params, cond: Any = None) -> Denoise:
    """A denoiser with parameters and condition fixed, `denoise(key, x_t, t)`, as the samplers take it.

    Called with a fourth argument, that is the condition instead.
    """
    return Partial(_bound, checked_denoiser(denoiser), params, cond)


def _bound(denoiser: Denoiser, params: Params, fixed: Any, key: Key, x_t: Array, t: Array, cond: Any = None) -> Array:
    return denoiser(params, key, x_t, t, fixed if cond is None else cond)


def fixed_xi(denoise: Denoise, key: Key) -> Denoise:
    """The same xi at every step of the sampler, instead of fresh ones."""
    return Partial(_fixed_xi, checked_denoise(denoise), checked_key(key))


def _fixed_xi(denoise: Denoise, key: Key, _: Key, x_t: Array, t: Array, *cond: Any) -> Array:
    return denoise(jax.random.clone(key), x_t, t, *cond)


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

    >>> echo = lambda params, key, x_t, t, cond: jnp.broadcast_to(cond[:, None], x_t.shape)
    >>> twice = guided(echo, 2.0, null=jnp.array(0.0))
    >>> print(twice(None, jax.random.key(0), jnp.zeros((1, 1)), jnp.array([0.5]), jnp.array([3.0])))  # -1 times 0 + 2 times 3
    [[6.]]
    """
    low, high = interval
    if not 0 <= low <= high <= 1:
        raise ValueError(f"guidance acts for times 0 <= low <= high <= 1, got {interval=}")
    if known(weight) and not np.isfinite(weight):
        raise ValueError(f"a weight of guidance is finite, got {weight=}")
    return Partial(_guided, checked_denoiser(denoiser), jnp.asarray(weight, float), null, interval, shared_xi)


def _guided(
    denoiser: Denoiser,
    weight: Array,
    null: Any,
    interval: tuple[float, float],
    shared_xi: bool,
    params: Params,
    key: Key,
    x_t: Array,
    t: Array,
    cond: Any = None,
) -> Array:
    if cond is None:
        raise ValueError(f"guidance by {weight=} mixes two conditions and needs labels, got {cond=}")
    key = checked_keys(key)
    nulls = jax.tree.map(lambda null, c: jnp.broadcast_to(jnp.asarray(null, c.dtype), c.shape), null, cond)
    key_cond, key_null = (key, jax.random.clone(key)) if shared_xi else jax.random.split(key)
    conditional = floating(denoiser(params, key_cond, x_t, t, cond), "draws")
    unconditional = denoiser(params, key_null, x_t, t, nulls)
    w = jnp.where((t >= interval[0]) & (t <= interval[1]), weight, 1.0).reshape(-1, *[1] * (x_t.ndim - 1))
    mixed = (1 - w) * jnp.asarray(unconditional, float) + w * jnp.asarray(conditional, float)
    return mixed.astype(conditional.dtype)
