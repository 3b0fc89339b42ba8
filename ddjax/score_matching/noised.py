"""Denoising score matching: the score of x_t from pairs (x_0, x_t).

    (A)  x_t = alpha x_0 + sigma noise,   grad log p(x_t | x_0) = -noise / sigma
    (B)  denoising = w(t) / 2 |score(x_t, t) + noise / sigma|^2
    (C)  E denoising = E w / 2 |score - grad log p_t|^2 + a number that does not depend on the score

No derivative of the score is taken, and at every sigma > 0 there is no boundary. In units of the noise, (B) is
w / (2 sigma^2) |noise_hat - noise|^2 with noise_hat = -sigma score: for w = sigma^2 (`weights.variance`) it is regression on
the noise.
References: Vincent, Neural Computation 23, 2011 (2, 3); Song and Ermon, arXiv 1907.05600 (sigma^2).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ddjax import weights
from ddjax.inputs import checked_weight
from ddjax.schedules import scales_at
from ddjax.score_matching.plain import Points, examples, read
from ddjax.types import Key, Scalar, Schedule, nan_beside, standard_normal

TimedScore = Callable[[Array, Scalar], Array]


def denoising(
    score: TimedScore,
    schedule: Schedule,
    key: Key,
    x_0: Points,
    t: Scalar | Float[Array | np.ndarray, " m"],
    *,
    weight: weights.Weight = weights.uniform,
) -> Float[Array, " n"]:
    """w(t) / 2 |score(x_t, t) + noise / sigma|^2 of each example, eq. (B).

    Args:
        score: score(x_t, t) of one example at one time. t: a time for each example, or one for all; where sigma(t) = 0 there is
            no target, and the value is not a number.
        weight: in units of the squared score; `weights.variance(schedule)` makes all times count alike,
            `weights.likelihood(schedule)` bounds the likelihood of the reverse SDE, and `weights.on_scores` takes weights of
            regressions on x_0, such as `weights.edm` and `weights.sigmoid`.
    Raises: ValueError for x_0 without a batch, times of another length, or a score of another shape.
    """
    weight = checked_weight(weight)
    x_0, t = examples(x_0), jnp.asarray(t, float)
    if t.shape not in ((), x_0.shape[:1]):
        raise ValueError(f"need one time, or one for each of {x_0.shape[0]} examples, got {t.shape=}")

    def one(noise: Array, x_0: Array, t: Array) -> Array:
        alpha, sigma = scales_at(schedule, t)
        error = sigma * read(score, alpha * x_0 + sigma * noise, "a score", t) + noise  # sigma times that of the score
        return jnp.sum(weight(t) / sigma**2 * error**2) / 2

    each = jax.vmap(one)(standard_normal(key, x_0.shape), x_0, jnp.broadcast_to(t, x_0.shape[:1]))
    return nan_beside(each, x_0)
