"""Tests of accuracy with random points: how often a truth is nearer to a reference than the draws that foretell it.

With d the Euclidean distance over the whole event and r_i the reference of example i,

    (A)  rank_i      = #{j: d(x_ij, r_i) < d(y_i, r_i)}
    (B)  coverage(k) = #{i: rank_i < k} / n   at the nominal level k / (m + 1),  k = 0..m + 1

(A) over m is the credibility of the ball about r_i through the truth. For draws of the law of y_i it is uniform on 0..m whatever
r_i, so that the mean of (B) is the level itself, for every m and without any interpolation. Which way a wrong spread or a bias
bends the curve depends on where the references lie.

A model that ignores what it is conditioned on passes with references that ignore it too: take some that do not.
References: Lemos et al., arXiv 2302.03026, section 3 and algorithm 2.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ddjax.inputs import checked_array
from ddjax.metrics.points import Observations, Populations, checked_populations, on_device, populations
from ddjax.metrics.ranks import histogram


class Tarp(NamedTuple):
    """Eq. (B) with its nominal levels; the largest distance between them; the chi-square p-value of uniform ranks."""

    levels: Float[Array, " levels"]
    coverage: Float[Array, " levels"]
    deviation: Float[Array, ""]
    pvalue: Float[Array, ""]


def tarp(samples: Populations, observations: Observations, references: Observations) -> Tarp:
    """Expected coverage of draws [n, m, *event] of observations [n, *event], about references [n, *event].

    The p-value is that of `rank_histogram` and asks as much of n. A draw exactly as far as the truth counts as farther: laws with
    atoms belong to `rank_histogram`, which breaks ties.

    Returns: levels and coverage [m + 2], from 0 to 1; NaN if any number is not finite.
    Raises: ValueError for shapes that do not fit.
    """
    samples, observations = checked_populations(samples, observations)
    references = checked_array(references, "references [n, *event]")
    if jnp.shape(references) != jnp.shape(observations):
        raise ValueError(
            f"need a reference for each observation, got {jnp.shape(references)=}, {jnp.shape(observations)=}"
        )
    return _tarp(samples, observations, references)


@jax.jit
def _tarp(samples: Array, observations: Array, references: Array) -> Tarp:
    samples, observations = populations(samples, observations)
    observations, references = on_device(observations, references)
    points = jnp.concatenate(
        [observations[:, None], samples.astype(observations.dtype)], 1
    )  # one sum for truth and draws
    differences = (points - references[:, None]).reshape(*points.shape[:2], -1)
    squares = jnp.sum(differences**2, -1)
    truth, draws = squares[:, 0], squares[:, 1:]
    n, m = draws.shape
    broken = jnp.isnan(truth) | jnp.any(jnp.isnan(draws), 1)
    ranks = jnp.where(broken, jnp.nan, jnp.sum(draws < truth[:, None], 1, dtype=truth.dtype))
    counts, _, pvalue = histogram(ranks, m)
    levels = jnp.arange(m + 2, dtype=truth.dtype) / (m + 1)
    coverage = jnp.concatenate([0 * counts[:1], jnp.cumsum(counts)]) / n
    off = jnp.max(jnp.abs(coverage - levels))
    off = jnp.where(jnp.isnan(coverage[-1]), jnp.nan, off)  # which the maximum of thousands drops on a CPU
    return Tarp(levels, coverage, off, pvalue)
