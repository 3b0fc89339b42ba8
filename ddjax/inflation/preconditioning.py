"""Denoisers around a network whose input and target have unit variance at every time.

With s_j^2 the variances of the data and x_t = alpha x_0 + sigma noise, x_t / alpha carries noise of variance C = sigma^2 / alpha^2:

    (A)  D(x_t, t) = skip x_t + out F(in x_t, t)
    (B)  in = 1 / sqrt(alpha^2 s^2 + sigma^2),   skip = alpha s^2 in^2,   out = s sigma in  (= sqrt(s^2 C / (s^2 + C)))
    (C)  target of F: (x_0 - skip x_t) / out,   loss of F: ||D - x_0||^2 / out^2

`out` is a product, never the difference s^2 - s^4 / (s^2 + C), which loses all digits at small C. The three kinds differ in what
stands for s and sigma: each direction's own; one mean for all; one mean s beside each direction's own sigma. Only the first has
unit variances in each direction, the second on average over them, and it alone is the same in any basis. A network of 0 is,
under the first, the exact posterior mean of a Gaussian. The network is told t itself.
References: Karras et al., arXiv 2206.00364, table 1 and section 5; de Albuquerque and Pearson, arXiv 2407.08843.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float

from ddjax.inflation.scales import Variances, positive
from ddjax.schedules import checked_schedule
from ddjax.types import Denoiser, Key, Network, Params, Scalar, Schedule, floating, shaped


class Coefficients(NamedTuple):
    """skip, out and into (the "in" of eq. (A)) at one time: scalars, or one for each direction."""

    skip: Float[Array, "..."]
    out: Float[Array, "..."]
    into: Float[Array, "..."]


@dataclass(frozen=True)
class Anisotropic:
    """Eq. (B) in each direction for itself. Raises: ValueError unless the variances [d] are positive and finite."""

    schedule: Schedule
    variances: Variances | tuple[float, ...]

    def __post_init__(self):
        checked_schedule(self.schedule)
        object.__setattr__(self, "variances", positive(self.variances))

    def __call__(self, t: Scalar) -> Coefficients:
        """The coefficients [d] at one time."""
        alpha, sigma = self.schedule(t)
        return _coefficients(alpha, sigma, jnp.asarray(np.sqrt(self.variances), sigma.dtype))


@dataclass(frozen=True)
class EDM:
    """Eq. (B) with one s^2 = mean s_j^2 and one sigma^2 = mean sigma_j^2, scalars. Raises: ValueError as `Anisotropic`."""

    schedule: Schedule
    variances: Variances | tuple[float, ...]

    def __post_init__(self):
        checked_schedule(self.schedule)
        object.__setattr__(self, "variances", positive(self.variances))

    def __call__(self, t: Scalar) -> Coefficients:
        """The coefficients at one time."""
        alpha, sigma = self.schedule(t)
        largest = jnp.maximum(
            jnp.max(sigma), jnp.finfo(sigma.dtype).tiny
        )  # whose unit keeps small squares from vanishing
        mean_sigma = largest * jnp.sqrt(jnp.mean((sigma / largest) ** 2))
        return _coefficients(jnp.mean(alpha), mean_sigma, jnp.asarray(np.sqrt(np.mean(self.variances)), sigma.dtype))


@dataclass(frozen=True)
class EigenEDM:
    """Eq. (B) with one s^2 = mean s_j^2 and each direction's own sigma. Raises: ValueError as `Anisotropic`."""

    schedule: Schedule
    variances: Variances | tuple[float, ...]

    def __post_init__(self):
        checked_schedule(self.schedule)
        object.__setattr__(self, "variances", positive(self.variances))

    def __call__(self, t: Scalar) -> Coefficients:
        """The coefficients at one time, [d] where sigma is."""
        alpha, sigma = self.schedule(t)
        return _coefficients(alpha, sigma, jnp.asarray(np.sqrt(np.mean(self.variances)), sigma.dtype))


Preconditioning = Anisotropic | EDM | EigenEDM


def _coefficients(alpha: Array, sigma: Array, std: Array) -> Coefficients:
    into = 1 / jnp.sqrt((alpha * std) ** 2 + sigma**2)
    return Coefficients(alpha * (std * into) ** 2, std * (sigma * into), into)


def preconditioned(network: Network, preconditioning: Preconditioning) -> Denoiser:
    """The denoiser of eq. (A) around a network without xi.

    `preconditioned(network, Anisotropic(schedule, variances))` in eigen-coordinates; see also `EDM` and `EigenEDM`.
    """
    return Partial(_denoised, Network.of(network), preconditioning)


def _denoised(
    network: Network,
    preconditioning: Preconditioning,
    params: Params,
    key: Key,
    x_t: Array,
    t: Array,
    cond: Any = None,
) -> Array:
    floating(x_t, "states")
    skip, out, into = jax.vmap(preconditioning)(jnp.asarray(t, float))
    fit = lambda c: c.reshape(len(c), *[1] * (x_t.ndim - c.ndim), *c.shape[1:])  # noqa: E731
    x = jnp.asarray(x_t, float)
    value = shaped(network.apply(params, (fit(into) * x).astype(x_t.dtype), t, cond, None), x_t.shape, "a network")
    return (fit(skip) * x + fit(out) * jnp.asarray(value, float)).astype(x_t.dtype)


@dataclass(frozen=True)
class Standardised:
    """The squared error of the network itself, eq. (C), as a rule for `objectives.distributional(..., size=1)`.

    The mean over coordinates: 1 for a network of 0, at every time and for data of any variances, if `Anisotropic`.
    """

    preconditioning: Preconditioning

    @property
    def pairs(self) -> bool:
        """No draw is compared with another."""
        return False

    def __call__(
        self, samples: Float[Array, "m *event"], observation: Float[Array, "*event"], t: Scalar
    ) -> Float[Array, ""]:
        """mean_j ||(D_j - x_0) / out||^2 / d."""
        out = self.preconditioning(t).out
        return jnp.mean(jnp.square((samples - observation[None]) / jnp.broadcast_to(out, samples.shape[1:])[None]))
