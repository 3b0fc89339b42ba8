"""The energy score and the kernel score of one example: the formula of the paper.

With m draws xhat_1..m of one predictive law, an observation x_0 and a dissimilarity rho of differences, rho(0) = 0,

    (A)  score = confinement - (lam / 2) interaction
    (B)  confinement = mean_j rho(xhat_j - x_0)
    (C)  interaction = mean_{j != j'} rho(xhat_j - xhat_j')

Energy: rho = ||.||^beta, 0 < beta <= 2. Kernel: rho = scale (k(0) - k). Strictly proper for lam = 1 (and beta < 2, k
characteristic); beta = 2, lam = 0 is the squared error. The mean (C) divides by m (m - 1), which makes it unbiased.
References: De Bortoli et al. (DDM), arXiv 2502.02483, DDM eq. (8)-(13); Gneiting and Raftery, JASA 102 (2007), section 5.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from ddjax.inputs import checked_array, checked_draws
from ddjax.types import Scalar, known, nan_unless_finite, one_number, precise

Draws = Real[Array | np.ndarray, "m *event"]
Observation = Real[Array | np.ndarray, "*event"]
Rho = Callable[[Array], Array]  # differences [n, *event] -> rho of each [n]


class Terms(NamedTuple):
    """A score and its two parts, (A)."""

    score: Float[Array, ""]
    confinement: Float[Array, ""]
    interaction: Float[Array, ""]


def energy_score(
    samples: Draws, observation: Observation, *, beta: Scalar = 1.0, lam: Scalar = 1.0
) -> Float[Array, ""]:
    """Energy score, (A) with rho = ||.||^beta over the whole event. Raises: as `score`, and for a beta outside (0, 2].

    >>> print(f"{energy_score(jnp.array([1.0, 2.0, 4.0]), jnp.array(3.0)):.4f}")  # 4/3 - (1/2) 2
    0.3333
    """
    beta = checked_beta(beta)

    def rho(differences: Array) -> Array:
        squared = jnp.sum(differences**2, tuple(range(1, differences.ndim)))
        return safe_power(squared, beta / 2)

    return score(rho, samples, observation, lam).score


def kernel_score(samples: Draws, observation: Observation, *, kernel: Rho, lam: Scalar = 1.0) -> Float[Array, ""]:
    """Kernel score, (A) with rho of `imq(c)`, `rbf(bandwidth)` or `exponential(bandwidth)`. Raises: as `score`.

    >>> from ddjax.scoring.kernels import exponential
    >>> print(f"{kernel_score(jnp.zeros((2, 3)), jnp.zeros(3), kernel=exponential(1.0)):.1f}")  # nothing lies apart
    0.0
    """
    return score(kernel, samples, observation, lam).score


def score(rho: Rho, samples: Draws, observation: Observation, lam: Scalar = 1.0) -> Terms:
    """(A), (B) and (C) of draws [m, *event] and an observation [*event], with lam >= 0, in float32 or better.

    Raises: ValueError for lam negative or infinite, fewer than 2 draws with lam > 0, or shapes that do not fit.
    """
    samples, observation = checked_draws(samples, observation)
    m, interacts = samples.shape[0], has_interaction(lam)
    if m < 2 and interacts:
        raise ValueError(f"a population of at least 2 is needed for lam > 0, got {m} draw and {lam=}")
    samples = precise(samples)  # differences of pixels would wrap, those of half precision be rounded
    # differences are taken directly: in |x|^2 - 2 x.y + |y|^2 all digits cancel where draws nearly coincide
    errors = samples - precise(observation)[None].astype(samples.dtype)
    confinement = jnp.mean(rho(nan_unless_finite(errors)))  # a bounded rho would make a good number of infinity
    interaction = jnp.zeros_like(confinement)
    if interacts:  # each unordered pair once, those that stand `lag` apart together: no array of m^2 differences
        pairs = sum(jnp.sum(rho(samples[lag:] - samples[:-lag])) for lag in range(1, m))
        interaction = pairs / (m * (m - 1) / 2)
    return Terms(confinement - jnp.asarray(lam, samples.dtype) / 2 * interaction, confinement, interaction)


def safe_power(squared: Float[Array, "*n"], exponent: Scalar) -> Float[Array, "*n"]:
    """squared ** exponent, 0 with all its derivatives where squared = 0, as where two draws coincide.

    >>> import jax
    >>> print(jax.grad(safe_power)(0.0, 0.5), safe_power(jnp.array(4.0), 0.5))
    0.0 2.0
    """
    squared = checked_array(squared)
    exponent = float(exponent) if known(exponent) else jnp.asarray(exponent, squared.dtype)
    if isinstance(exponent, float) and exponent == 1:
        return squared  # with its second derivative in the draws, which is not 0
    zero = squared == 0  # and nothing else: NaN stays NaN
    # the inner `where` keeps 0 from the power, whose derivative there is infinite: times the 0 of the outer one, NaN
    return jnp.where(zero, 0.0, jnp.where(zero, 1.0, squared) ** exponent)


def has_interaction(lam: Scalar | Callable[[Array], Array]) -> bool:
    """Whether a second draw is needed: unless lam is 0. Raises: ValueError for lam negative or infinite."""
    if callable(lam) or not known(lam):
        return True
    if not 0 <= float(lam) < math.inf:
        raise ValueError(f"lam must not be negative or infinite, got {lam=}")
    return float(lam) != 0


def checked_beta(beta: Scalar) -> Scalar:
    """beta as a float, or as an array where it is one. Raises: ValueError for a beta outside (0, 2], where it is known."""
    beta = one_number("beta", beta)
    if known(beta) and not 0 < float(beta) <= 2:
        raise ValueError(f"beta must lie in (0, 2], got {beta=}")
    return beta
