"""Grids from t = 1 down to `last`, for integration either way, and the paper's law of training times."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ddjax import times
from ddjax.inputs import checked_key
from ddjax.types import Key


def linear(n: int, *, last: float = 0.0) -> Float[Array, " n_plus_1"]:
    """n equal steps from 1 to `last`, above 0 for the field of an x_0-denoiser where sigma(0) = 0.

    Raises: ValueError for n < 1 or a last time outside [0, 1).
    """
    return _down_to(last, np.asarray(times.grid(n), np.float64))


def variance_preserving(
    n: int, *, beta_min: float = 0.1, beta_max: float = 20.0, last: float = 0.0
) -> Float[Array, " n_plus_1"]:
    """The times at which C(t) / s^2 is that of n equal steps u of the VP process: t = B(u) / B(1), B its integrated rate.

    Finer near data than `linear`, by beta_min / beta_max at the start. Raises: ValueError for n < 1, a last time outside
    [0, 1), or unless 0 < beta_min <= beta_max.
    References: arXiv 2011.13456, Song et al. eq. (32)-(33), whose integrated rate is the time here.
    """
    if not 0 < beta_min <= beta_max < np.inf:
        raise ValueError(f"need 0 < beta_min <= beta_max, both finite, got {beta_min=}, {beta_max=}")
    u = np.asarray(times.grid(n), np.float64)
    integrated = beta_min * u + (beta_max - beta_min) * u**2 / 2
    return _down_to(last, integrated / integrated[0])


def normal(mean: float = 12.0, std: float = 1.2, *, horizon: float) -> times.Law:
    """t horizon ~ N(mean, std^2), in the units of the paper and clipped to (0, horizon): beside `times.uniform`.

    Raises: ValueError for numbers that are not finite, a std or horizon that is not positive, or a mean beyond the horizon, where
        most times would be cut off.
    """
    if not (np.isfinite(mean) and 0 < std < np.inf and 0 < horizon < np.inf):
        raise ValueError(f"need a finite mean, std > 0 and horizon > 0, got {mean=}, {std=}, {horizon=}")
    if mean > horizon:
        raise ValueError(f"most times of N({mean:g}, {std:g}^2) lie beyond the horizon, got {horizon=}")

    def normal_law(key: Key, n: int) -> Float[Array, " n"]:
        t = (mean + std * jax.random.normal(checked_key(key), (n,))) / horizon
        edge = jnp.finfo(t.dtype).eps / 2  # open, as every law of `ddjax.times`
        return jnp.clip(t, edge, 1 - edge)

    return normal_law


def _down_to(last: float, unit: np.ndarray) -> Array:
    if not 0 <= last < 1:
        raise ValueError(f"the last time lies in [0, 1), got {last=}")
    return jnp.asarray(last + (1 - last) * unit, float)
