"""Objectives of a score at the points x ~ p themselves, one value for each.

    (A)  explicit = 1/2 |score(x) - grad log p(x)|^2
    (B)  implicit = div score(x) + 1/2 |score(x)|^2
    (C)  E explicit - E implicit = 1/2 E|grad log p|^2, where p score vanishes at the boundary
    (D)  sliced = v^T J v + 1/2 (v^T score)^2,  reduced: v^T J v + 1/2 |score|^2;  J = grad score,  E v v^T = I

By (C), which is integration by parts and is (tr S^-1) / 2 for N(mu, S), (B) needs no grad log p. The boundary counts: under
the uniform density on [0, 1] the true score is 0, of implicit value 0, while score = -3 x has -3/2, and steeper ends have less
without end (docs/score_matching.md). Given x, (D) has the mean (B). With v of independent signs its variance is
2 sum_{i != j} (J_ij + score_i score_j / 2)^2 for a symmetric J, reduced 2 sum_{i != j} J_ij^2: the reduced form varies less
unless J_ij and score_i score_j cancel, as they do for strongly correlated coordinates.
References: Hyvarinen, JMLR 6, 2005 (A-C); Song et al., arXiv 1905.07088 (D).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ddjax import flows
from ddjax.flows.likelihood import Divergence, along
from ddjax.inputs import checked_array, checked_count, checked_function, checked_key
from ddjax.types import Key, nan_beside, shaped

Score = Callable[[Array], Array]
Points = Float[Array | np.ndarray, "n *event"]


def explicit(score: Score, truth: Score, x: Points) -> Float[Array, " n"]:
    """1/2 |score(x) - truth(x)|^2 of each example, eq. (A); both are functions of one example.

    Raises: ValueError for x without a batch, or a score or truth that returns another shape than that of its example.
    """

    def one(x: Array) -> Array:
        return jnp.sum((read(score, x) - read(truth, x, "a true score")) ** 2) / 2

    x = examples(x)
    return nan_beside(jax.vmap(one)(x), x)


def implicit(
    score: Score, x: Points, *, key: Key | None = None, divergence: Divergence = flows.exact_divergence
) -> Float[Array, " n"]:
    """div score(x) + 1/2 |score(x)|^2 of each example, eq. (B).

    Args:
        divergence: the exact trace, d derivatives of the score, or `flows.hutchinson(probes)`, which takes a key.
    Raises: ValueError for x without a batch, a score of another shape, or a divergence other than the exact one without a key.
    """
    if key is None and divergence is not flows.exact_divergence:
        raise ValueError(f"a divergence other than flows.exact_divergence needs a key, got {key=}")
    x = examples(x)

    def one(key: Key, x: Array) -> Array:
        value, trace = divergence(lambda x: read(score, x), key, x)
        return trace + jnp.sum(value**2) / 2

    keys = jax.random.split(jax.random.key(0) if key is None else checked_key(key), x.shape[0])
    return nan_beside(jax.vmap(one)(keys, x), x)


def sliced(score: Score, key: Key, x: Points, *, probes: int = 1, reduced: bool = False) -> Float[Array, " n"]:
    """v^T J v + 1/2 (v^T score)^2 of each example, the mean over its own `probes` vectors v of independent signs, eq. (D).

    Args:
        reduced: 1/2 |score|^2 in the place of 1/2 (v^T score)^2: `implicit` with `flows.hutchinson(probes)`, to the bit.
    Raises: ValueError for fewer than 1 probe, x without a batch, or a score of another shape.
    """
    probes = checked_count(probes, "probes")
    estimate = flows.hutchinson(probes)
    if reduced:
        return implicit(score, x, key=key, divergence=estimate)
    x = examples(x)

    def one(key: Key, x: Array) -> Array:
        value, derivative = jax.linearize(lambda x: read(score, x), x)
        v = jax.random.rademacher(key, (probes, *x.shape), x.dtype)
        slices = jnp.tensordot(v, value, x.ndim)
        return (jnp.sum(v * along(derivative, v)) + jnp.sum(slices**2) / 2) / probes

    return nan_beside(jax.vmap(one)(jax.random.split(checked_key(key), x.shape[0]), x), x)


def examples(x: Points) -> Float[Array, "n *event"]:
    """The batch in float32 or better. Raises: ValueError for a single number."""
    x = checked_array(x, "examples [n, *event]")
    if x.ndim < 1:
        raise ValueError(f"scores are matched on a batch of examples [n, *event], got {x.shape=}")
    return jnp.asarray(x, float)


def read(score: Callable[..., Array], x: Array, who: str = "a score", *rest: Array) -> Array:
    """The score of one example, in float32 or better. Raises: ValueError where its shape is not that of the example."""
    score = checked_function(score, "score", *("x", "t")[: 1 + len(rest)])
    return jnp.asarray(shaped(score(x, *rest), x.shape, f"{who}, for one example,"), float)
