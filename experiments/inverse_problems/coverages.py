"""Whether samples given a measurement are calibrated: the truth that was measured is itself a draw of p(x_0 | y).

With m samples of x_0 for each held-out image, rounded to the grey levels of the data and ranked with ties at random,

    (1)  coverage(L)   share of pixels whose rank lies in the central interval that has probability L of the m + 1 ranks
    (2)  p             chi-square of the ranks of one random linear functional of each image
    (3)  spread-skill  spread of the samples over the error of their mean; 1 if calibrated
    (4)  energy score  E|x - x_0| - E|x - x'| / 2, fair, over the hidden pixels that vary: least for the true law
    (5)  misfit        |y - A x|^2 / (m noise^2): 1 for draws of p(x_0 | y), below 1 where noise is fitted

Errors are standard errors over images, whose pixels are dependent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ddjax import metrics, scoring
from ddjax.types import Key
from experiments.inverse_problems.measurements import Measurement

SAMPLES = 19  # of each image: 20 ranks, in which intervals of 50, 80 and 90 % end exactly
LEVELS = (0.5, 0.8, 0.9)
GREYS = 16  # levels above black
BINS = 10


class Judged(NamedTuple):
    """Eq. (1) to (5): coverage at LEVELS with its errors, the energy score with its error, and the rest."""

    coverage: Sequence[float]
    coverage_error: Sequence[float]
    pvalue: float
    spread_skill: float
    energy: float
    energy_error: float
    misfit: float


def judged(samples: Array, truth: Array, y: Array, of: Measurement, varies: np.ndarray, key: Key) -> Judged:
    """Of samples [n, m, *event] of images [n, *event] with measurements y [n, ...]; `varies` [d] says which pixels do."""
    key_ties, key_lines, key_ranks = jax.random.split(key, 3)
    x, x_0 = hidden(samples, of, varies), hidden(truth, of, varies)
    inside = np.stack([np.asarray(covered(x, x_0, key, level)) for key, level in _each(key_ties)])
    lines = jax.random.normal(key_lines, x_0.shape)
    along = jnp.sum(x * lines[:, None], -1), jnp.sum(x_0 * lines, -1)
    energy = energies(samples, truth, of, varies)
    coverage, coverage_error = _mean(inside.mean(-1))
    return Judged(
        coverage.tolist(),
        coverage_error.tolist(),
        float(metrics.rank_histogram(*along, key_ranks, bins=BINS).pvalue),
        float(metrics.spread_skill(x, x_0)),
        *map(float, _mean(energy)),
        float(jnp.mean(of.misfit(samples, y[:, None]))),
    )


def energies(samples: Array, truth: Array, of: Measurement, varies: np.ndarray) -> np.ndarray:
    """Eq. (4) of each image."""
    return np.asarray(_energies(hidden(samples, of, varies), hidden(truth, of, varies)), np.float64)


@jax.jit
def _energies(x: Array, x_0: Array) -> Array:
    return jax.vmap(scoring.energy_score)(x, x_0)


def hidden(x: Array, of: Measurement, varies: np.ndarray) -> Array:
    """The hidden pixels that vary of images [..., h, w, c], as grey levels of the data."""
    return greys(x.reshape(*x.shape[:-3], -1)[..., np.flatnonzero(varies & of.hidden)])


def _mean(by_image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Over the last axis, and its standard error."""
    return by_image.mean(-1), by_image.std(-1, ddof=1) / np.sqrt(by_image.shape[-1])


def _each(key: Key) -> list[tuple[Key, float]]:
    return list(zip(jax.random.split(key, len(LEVELS)), LEVELS, strict=True))


def greys(x: Array) -> Array:
    """Pixels in [-1, 1] rounded to the data's grey levels, and clipped to them."""
    return jnp.clip(jnp.round((x + 1) / 2 * GREYS), 0, GREYS) * 2 / GREYS - 1


def covered(x: Array, x_0: Array, key: Key, level: float) -> Array:
    """Whether each element of x_0 [n, ...] lies in the central interval of its samples [n, m, ...], eq. (1), ties at random.

    Raises: ValueError for a level at which no interval of m samples ends.
    """
    ranks = x.shape[1] + 1
    left = (1 - level) * ranks / 2
    if abs(left - round(left)) > 1e-6:
        raise ValueError(f"no central interval of {ranks - 1} samples has probability {level}")
    at = jnp.minimum(jnp.floor(metrics.pit(x, x_0, key) * ranks), ranks - 1)
    return (at >= round(left)) & (at < ranks - round(left))
