"""Exact denoisers under vector scales, in the eigenbasis: what nothing is left to learn for.

    (A)  E[x_0 | x_t] = alpha s^2 / (alpha^2 s^2 + sigma^2) x_t                            data N(0, diag(s^2))
    (B)  E[x_0 | x_t] = sum_k r_k [mu_k + S_k A (A S_k A + diag(sigma^2))^-1 (x_t - A mu_k)],  A = diag(alpha)

with r_k the responsibilities of x_t in (B), data sum_k w_k N(mu_k, S_k).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float

from ddjax.mixtures import GaussianMixture
from ddjax.schedules import checked_schedule, scales_at
from ddjax.types import Denoiser, Key, Params, Scalar, Schedule


def gaussian_oracle(variances: Float[Array | np.ndarray, " d"], schedule: Schedule) -> Denoiser:
    """The posterior mean of eq. (A), finite at every time."""
    return Partial(_gaussian, jnp.asarray(variances, float), checked_schedule(schedule))


def _gaussian(
    variances: Array, schedule: Schedule, params: Params, key: Key, x_t: Array, t: Array, cond: Any = None
) -> Array:
    def one(x_t: Array, t: Scalar) -> Array:
        alpha, sigma = scales_at(schedule, t)
        return alpha * variances / (alpha**2 * variances + sigma**2) * x_t

    return jax.vmap(one)(x_t, t)


def mixture_oracle(mixture: GaussianMixture, schedule: Schedule) -> Denoiser:
    """The posterior mean of eq. (B), by one Cholesky factor for each component: `mixtures.mean_oracle` for scales [d]."""
    return Partial(_mixture, mixture, checked_schedule(schedule))


def _mixture(
    mixture: GaussianMixture, schedule: Schedule, params: Params, key: Key, x_t: Array, t: Array, cond: Any = None
) -> Array:
    return jax.vmap(lambda x, t: _mean(mixture, schedule, x, t))(x_t.astype(mixture.means.dtype), t)


def _mean(mixture: GaussianMixture, schedule: Schedule, x_t: Array, t: Scalar) -> Array:
    d = x_t.shape[0]
    alpha, sigma = (jnp.broadcast_to(scale, (d,)).astype(x_t.dtype) for scale in scales_at(schedule, t))

    def component(mean: Array, cov: Array) -> tuple[Array, Array]:
        root = jnp.linalg.cholesky(alpha[:, None] * cov * alpha[None] + jnp.diag(sigma**2))
        pulled = jax.scipy.linalg.solve_triangular(root, x_t - alpha * mean, lower=True)
        pull = jax.scipy.linalg.solve_triangular(root.T, pulled)
        log_prob = -jnp.sum(pulled**2) / 2 - jnp.sum(jnp.log(jnp.diag(root)))
        return log_prob, mean + jnp.dot(cov, alpha * pull, precision="highest")

    log_probs, means = jax.vmap(component)(mixture.means, mixture.covs)
    return jnp.dot(jax.nn.softmax(jnp.log(mixture.weights) + log_probs), means, precision="highest")
