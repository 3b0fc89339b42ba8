"""Weights w(t) of the loss: functions of one time, applied to each example's own loss (never batch mean times batch mean).

`uniform`, `snr`, `sigmoid` and `edm` multiply squared errors of x_0, `variance` and `likelihood` those of the score; with

    (A)  score = (alpha D - x_t) / sigma^2,   |D - x_0|^2 = (sigma^4 / alpha^2) |score + noise / sigma|^2

`on_scores` reads the former as the latter.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ddjax.inputs import checked_weight
from ddjax.schedules import checked_schedule, logsnr, squared_diffusion
from ddjax.types import Scalar, Schedule, precise

Weight = Callable[[Scalar], Float[Array, "..."]]  # event-shaped where the scales are


def uniform(t: Scalar) -> Float[Array, ""]:
    """w(t) = 1: the default, and the better one for few steps."""
    return jnp.ones_like(precise(t))


def of_examples(weight: Weight, t: Float[Array, " batch"]) -> Float[Array, " batch"]:
    """w(t_i) of each example of a batch, whose loss is one number.

    Raises: ValueError for a weight that is no scalar at one time, as the others here are of a schedule with event-shaped scales.

    >>> print(of_examples(uniform, jnp.array([0.2, 0.7])))
    [1. 1.]
    """
    values = jax.vmap(checked_weight(weight))(t)
    if values.shape != t.shape:
        raise ValueError(
            f"the weight of an example is a scalar, got one of shape {values.shape[1:]}: of scales with a number for each "
            "coordinate pass `weights.uniform`, or a mean over them, `lambda t: jnp.mean(weight(t))`"
        )
    return values


def snr(schedule: Schedule) -> Weight:
    """w(t) = alpha^2 / sigma^2, under which regression on x_0 is regression on the noise: ||noise - n||^2 = w ||x_0 - D||^2.

    References: Ho et al. (DDPM), arXiv 2006.11239, DDPM eq. (14) ("L_simple").

    >>> from ddjax import schedules
    >>> print(f"{snr(schedules.Rectified())(0.25):.3f}")  # (3/4)^2 / (1/4)^2
    9.000
    """
    schedule = checked_schedule(schedule)

    def snr_weight(t: Scalar) -> Float[Array, "..."]:
        return jnp.exp(logsnr(schedule, t))

    return snr_weight


def sigmoid(schedule: Schedule, *, bias: float = 0.0) -> Weight:
    """w(t) = sigmoid(logsnr(t) - bias), the weighting of the paper's images; it starves t near 1.

    References: Kingma and Gao, arXiv 2303.00848; De Bortoli et al. (DDM), arXiv 2502.02483, DDM eq. (14).

    >>> from ddjax import schedules
    >>> print(sigmoid(schedules.Rectified())(0.5))
    0.5
    """
    schedule = checked_schedule(schedule)

    def sigmoid_weight(t: Scalar) -> Float[Array, "..."]:
        return jax.nn.sigmoid(logsnr(schedule, t) - bias)

    return sigmoid_weight


def edm(schedule: Schedule, *, data_std: float = 0.5) -> Weight:
    """w(t) = alpha^2 / sigma^2 + 1 / data_std^2, under which an output scaled as EDM scales it has error 1 at every t.

    With sigma / alpha for the noise on unscaled data it is (sigma^2 + data_std^2) / (sigma data_std)^2.

    Args:
        data_std: standard deviation of an element of x_0, in its units.
    Raises: ValueError for a data_std that is not positive and finite.
    References: Karras et al., arXiv 2206.00364, table 1.

    >>> from ddjax import schedules
    >>> print(f"{edm(schedules.Rectified())(0.5):.3f}")
    5.000
    """
    if not 0 < data_std < np.inf:
        raise ValueError(f"data_std must be positive and finite, got {data_std=}")
    schedule = checked_schedule(schedule)

    def edm_weight(t: Scalar) -> Float[Array, "..."]:
        return jnp.exp(logsnr(schedule, t)) + data_std**-2

    return edm_weight


def variance(schedule: Schedule) -> Weight:
    """w(t) = sigma^2 for scores, which makes of score matching regression on the noise, and all times count alike.

    References: Song and Ermon, arXiv 1907.05600.
    """
    schedule = checked_schedule(schedule)

    def variance_weight(t: Scalar) -> Float[Array, "..."]:
        return schedule(t).sigma ** 2

    return variance_weight


def likelihood(schedule: Schedule) -> Weight:
    """w(t) = g^2 of `schedules.squared_diffusion` for scores: the loss bounds the likelihood of the reverse SDE.

    References: Song et al., arXiv 2101.09258.
    """
    schedule = checked_schedule(schedule)

    def likelihood_weight(t: Scalar) -> Float[Array, "..."]:
        return squared_diffusion(schedule, t)

    return likelihood_weight


def on_scores(schedule: Schedule, weight: Weight) -> Weight:
    """w(t) sigma^4 / alpha^2: a weight of squared errors of x_0 as one of squared errors of the score, eq. (A).

    That of `snr` is `variance`. Infinite where alpha = 0, or NaN for a weight that is 0 there.
    """
    schedule, weight = checked_schedule(schedule), checked_weight(weight)

    def score_weight(t: Scalar) -> Float[Array, "..."]:
        alpha, sigma = schedule(t)
        return weight(t) * (sigma**2 / alpha) ** 2

    return score_weight
