"""Gaussian mixtures: the truth against which models are judged.

For data p_0 = sum_k w_k N(mu_k, S_k) and x_t = alpha x_0 + sigma noise, with S_k = U diag(l) U^T and
v = alpha^2 l + sigma^2 (all per component):

    (A)  p_t        = sum_k w_k N(alpha mu_k, U diag(v) U^T)
    (B)  p(k | x_t) ~ w_k N(x_t; alpha mu_k, U diag(v) U^T)
    (C)  p(x_0 | x_t, k) = N(mu_k + U diag(alpha l / v) U^T (x_t - alpha mu_k), U diag(l sigma^2 / v) U^T)
    (D)  score      = -sum_k p(k | x_t) U diag(1 / v) U^T (x_t - alpha mu_k)

and for a measurement y = A x + N(0, R) of x ~ p_0:

    (E)  p(y | k)    = N(A mu_k, A S_k A^T + R)
    (F)  p(x | y, k) = N(mu_k + S' A^T R^-1 (y - A mu_k), S'),  S' = (S_k^-1 + A^T R^-1 A)^-1,  p(k | y) ~ w_k p(y | k)

Working in the eigenbasis keeps (C) and (D) free of cancellation from t = 1e-4 to 1 in float32. Known covariances are
decomposed in float64 on the host, so that small variances keep their digits; traced ones in the precision at hand, which
serves condition numbers up to about 1e4. Event-shaped scales [d] turn the eigenbases, and with A = diag(alpha)

    (G)  p(x_t | k)      = N(A mu_k, A S_k A + diag(sigma^2))
    (H)  p(x_0 | x_t, k) = eq. (F) of the measurement x_t = A x_0 + N(0, diag(sigma^2)),   sigma > 0

by singular values of roots, which keep the digits of small variances. With the exact posterior
sampler (`oracle`), the bridge sampler returns p_0 for every number of steps and every churn; with the exact posterior
mean (`mean_oracle`), a perfect classical model, it does not. Maths for ONE point [d]; the oracles are batched.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

# bases and variances are set by their names
# pyright: reportAttributeAccessIssue=false
import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int

from ddjax.inputs import checked_count, checked_key
from ddjax.schedules import Scales, checked_schedule, scales_at, spread_rate, with_rates
from ddjax.types import Denoiser, Key, Params, Scalar, Schedule, known

# accelerators round the factors of a product to 10 bits unless told otherwise, which would end the float32 claim above
_einsum = partial(jnp.einsum, precision="highest")

Label = int | np.integer | Int[Array, ""]
Vector = Float[Array | np.ndarray, " _"]
Matrix = Float[Array | np.ndarray, "_ _"]


@jax.tree_util.register_pytree_node_class
@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """sum_k weights[k] N(means[k], covs[k]) in d dimensions.

    Args:
        weights: [k], positive, summing to 1. means: [k, d]. covs: [k, d, d], symmetric positive definite.
    Raises: ValueError for shapes that do not fit, weights off the simplex, numbers that are not finite in the default float,
        or covariances that are singular or not symmetric to rounding.
    """

    weights: Float[Array | np.ndarray, " k"]
    means: Float[Array | np.ndarray, "k d"]
    covs: Float[Array | np.ndarray, "k d d"]

    def __post_init__(self):
        if known(self.weights, self.means, self.covs):
            decomposed = _decomposed(*(np.asarray(x) for x in (self.weights, self.means, self.covs)))
        else:
            decomposed = jnp.linalg.eigh(jnp.asarray(self.covs, float))
        variances, basis = decomposed
        self._set(*(jnp.asarray(x, float) for x in (self.weights, self.means, self.covs, basis, variances)))

    def _set(self, *fields: Array) -> "GaussianMixture":
        for name, field in zip(("weights", "means", "covs", "basis", "variances"), fields, strict=True):
            object.__setattr__(self, name, field)
        return self

    @classmethod
    def _spectral(cls, weights: Array, means: Array, basis: Array, variances: Array) -> "GaussianMixture":
        """A mixture from the eigenbases [k, d, d] (columns) and eigenvalues [k, d] of its covariances."""
        covs = _einsum("kij,kj,klj->kil", basis, variances, basis)
        return object.__new__(cls)._set(weights, means, covs, basis, variances)

    def tree_flatten(self):
        """Leaves: weights, means, covs, and their eigenbases and eigenvalues."""
        return (self.weights, self.means, self.covs, self.basis, self.variances), None

    @classmethod
    def tree_unflatten(cls, _, leaves):
        """Rebuild without checks: leaves may be tracers."""
        return object.__new__(cls)._set(*leaves)

    def _rotated(self, x: Float[Array, " d"]) -> Float[Array, "k d"]:
        return _einsum("kij,ki->kj", self.basis, x.astype(self.means.dtype)[None] - self.means)

    def _log_joint(self, x: Float[Array, " d"]) -> Float[Array, " k"]:
        """log w_k N(x; mu_k, S_k)."""
        square = jnp.sum(self._rotated(x) ** 2 / self.variances, -1)
        log_det = jnp.sum(jnp.log(2 * jnp.pi * self.variances), -1)
        return jnp.log(self.weights) - (square + log_det) / 2

    def sample(self, key: Key, n: int) -> Float[Array, "n d"]:
        """n independent draws."""
        key_component, key_noise = jax.random.split(checked_key(key))
        k = jax.random.categorical(key_component, jnp.log(self.weights), shape=(checked_count(n, "n", least=0),))
        noise = jax.random.normal(key_noise, (n, self.means.shape[-1]), self.means.dtype)
        factors = self.basis * jnp.sqrt(self.variances)[:, None, :]
        return self.means[k] + _einsum("nij,nj->ni", factors[k], noise)

    def log_prob(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """Log density at one point, in nats."""
        return jax.nn.logsumexp(self._log_joint(x))

    def component_log_prob(self, x: Float[Array, " d"]) -> Float[Array, " k"]:
        """log p(k | x), the class posterior when classes are components."""
        return jax.nn.log_softmax(self._log_joint(x))

    def tilted_log_prob(self, x: Float[Array, " d"], component: int, weight: Scalar) -> Float[Array, ""]:
        """log p(x) + weight log p(component | x): the guided target, up to its normaliser; weight 1 is p(x | component)."""
        return self.log_prob(x) + weight * self.component_log_prob(x)[component]

    def given_class(self, classes: Int[Array | np.ndarray, " k"], label: Label) -> "GaussianMixture":
        """The law of x given its class, for components k of class classes[k]; the others keep weight 0.

        Raises: ValueError for classes of another length, or a label that no component has, where both are concrete.
        """
        if jnp.shape(classes) != self.weights.shape:
            raise ValueError(f"need a class for each of {len(self.weights)} components, got {jnp.shape(classes)=}")
        if known(classes, label) and not (np.asarray(classes) == np.asarray(label)).any():
            raise ValueError(f"no component has this class, got {label=} and {classes=}")
        logs = jnp.where(jnp.asarray(classes) == label, jnp.log(self.weights), -jnp.inf)
        return self._spectral(jax.nn.softmax(logs), self.means, self.basis, self.variances)

    def linear_log_prob(self, matrix: Matrix, y: Vector, noise: Matrix) -> Float[Array, " k"]:
        """log density of y = matrix x + N(0, noise) for x of each component, eq. (E).

        Args:
            matrix: [m, d]. y: [m]. noise: [m, m], symmetric positive definite.
        Raises: ValueError for shapes that do not fit, or a noise that is not positive definite, where it is concrete.
        """
        matrix, y, noise = _measurement(self.means.shape[1], matrix, y, noise)
        covs = _einsum("ai,kij,bj->kab", matrix, self.covs, matrix) + noise[None]
        factors = jnp.linalg.cholesky(covs)
        misfits = y[None] - _einsum("ai,ki->ka", matrix, self.means)
        whitened = jax.scipy.linalg.solve_triangular(factors, misfits[..., None], lower=True)[..., 0]
        diagonal = jnp.diagonal(factors, axis1=1, axis2=2)
        return -jnp.sum(whitened**2 / 2 + jnp.log(diagonal) + jnp.log(2 * jnp.pi) / 2, -1)

    def given_linear(self, matrix: Matrix, y: Vector, noise: Matrix) -> "GaussianMixture":
        """The law of x given a measurement y = matrix x + N(0, noise), eq. (F); arguments and errors of `linear_log_prob`."""
        weights = jax.nn.softmax(jnp.log(self.weights) + self.linear_log_prob(matrix, y, noise))
        matrix, y, noise = _measurement(self.means.shape[1], matrix, y, noise)
        spread, directions = jnp.linalg.eigh(noise)
        factors = self.basis * jnp.sqrt(self.variances)[:, None, :]  # S = F F^T
        seen = _einsum("ba,bi,kij->kaj", directions / jnp.sqrt(spread)[None], matrix, factors)  # R^(-1/2) A F
        gains, axes = jnp.linalg.eigh(_einsum("kai,kaj->kij", seen, seen))
        shrunk = axes / jnp.sqrt(1 + jnp.maximum(gains, 0))[:, None, :]
        halves = _einsum("kij,kjl->kil", factors, shrunk)  # S' = H H^T, of which no small variance is a difference
        basis, roots, _ = jnp.linalg.svd(halves)
        misfits = y[None] - _einsum("ai,ki->ka", matrix, self.means)
        pulls = _einsum(
            "kaj,ba,kb->kj", seen, directions / jnp.sqrt(spread)[None], misfits
        )  # F^T A^T R^(-1) (y - A mu)
        shifts = _einsum("kij,klj,kl->ki", halves, shrunk, pulls)
        return self._spectral(weights, self.means + shifts, basis, roots**2)

    def mean(self) -> Float[Array, " d"]:
        """E x."""
        return self.weights @ self.means

    def cov(self) -> Float[Array, "d d"]:
        """Covariance of x: within plus between components."""
        centred = self.means - self.mean()[None]
        return _einsum("k,kij->ij", self.weights, self.covs + centred[:, :, None] * centred[:, None, :])

    def _scales(self, schedule: Schedule, t: Scalar) -> Scales:
        return Scales(*(scale.astype(self.means.dtype) for scale in scales_at(schedule, t)))

    def diffuse(self, schedule: Schedule, t: Scalar) -> "GaussianMixture":
        """The law of x_t, eq. (A), or (G)."""
        alpha, sigma = self._scales(schedule, t)
        if not alpha.ndim + sigma.ndim:
            return self._spectral(self.weights, alpha * self.means, self.basis, alpha**2 * self.variances + sigma**2)
        alpha, sigma = (jnp.broadcast_to(scale, self.means.shape[1:]) for scale in (alpha, sigma))

        def spread(basis: Array, variances: Array) -> tuple[Array, Array]:
            axes, roots, _ = jnp.linalg.svd(
                jnp.concatenate([alpha[:, None] * basis * jnp.sqrt(variances)[None], jnp.diag(sigma)], 1),
                full_matrices=False,
            )
            return axes, roots**2

        return self._spectral(self.weights, alpha[None] * self.means, *jax.vmap(spread)(self.basis, self.variances))

    def posterior(self, schedule: Schedule, x_t: Float[Array, " d"], t: Scalar) -> "GaussianMixture":
        """The law of x_0 given x_t, eq. (B) and (C), or (H)."""
        alpha, sigma = self._scales(schedule, t)
        if alpha.ndim + sigma.ndim:
            alpha, sigma = (jnp.broadcast_to(scale, self.means.shape[1:]) for scale in (alpha, sigma))
            return self.given_linear(jnp.diag(alpha), x_t, jnp.diag(sigma**2))
        marginal = self.diffuse(schedule, t)
        shifts = alpha * self.variances / marginal.variances * marginal._rotated(x_t)
        return self._spectral(
            jnp.exp(marginal.component_log_prob(x_t)),
            self.means + _einsum("kij,kj->ki", self.basis, shifts),
            self.basis,
            self.variances * sigma**2 / marginal.variances,
        )

    def score(self, schedule: Schedule, x_t: Float[Array, " d"], t: Scalar) -> Float[Array, " d"]:
        """Gradient of log p_t at x_t, eq. (D)."""
        marginal = self.diffuse(schedule, t)
        responsibilities = jnp.exp(marginal.component_log_prob(x_t))
        pulls = marginal._rotated(x_t) / marginal.variances
        return -_einsum("k,kij,kj->i", responsibilities, marginal.basis, pulls)

    def velocity(self, schedule: Schedule, x_t: Float[Array, " d"], t: Scalar) -> Float[Array, " d"]:
        """Probability-flow velocity alpha' E[x_0 | x_t] + sigma' E[noise | x_t], with E[noise | x_t] = -sigma score.

        Finite at both ends, for sigma sigma' is where sigma' may not be.
        """
        _, rates = with_rates(schedule, t)
        rate, spread = (value.astype(self.means.dtype) for value in (rates.alpha, spread_rate(schedule, t)))
        return rate * self.posterior(schedule, x_t, t).mean() - spread * self.score(schedule, x_t, t)


def _decomposed(weights: np.ndarray, means: np.ndarray, covs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenbases in float64 of a mixture that makes sense; ValueError for one that does not."""
    if means.ndim != 2 or weights.shape != means.shape[:1] or covs.shape != (*means.shape, means.shape[1]):
        raise ValueError(
            f"need weights [k], means [k, d], covs [k, d, d], got {weights.shape=}, {means.shape=}, {covs.shape=}"
        )
    limits = jnp.finfo(jax.dtypes.canonicalize_dtype(float))
    weights, means, covs = (x.astype(np.float64) for x in (weights, means, covs))
    if not all((abs(x) <= float(limits.max)).all() for x in (weights, means, covs)):  # neither for NaN
        raise ValueError(f"weights, means and covs must be finite in {limits.dtype}")
    if (weights <= 0).any() or abs(weights.sum() - 1) > 1e-5:
        raise ValueError(f"weights must be positive and sum to 1, got {weights=}")
    variances, basis = np.linalg.eigh((covs + covs.swapaxes(1, 2)) / 2)
    smallest, largest = variances[:, [0, -1]].T
    skew = np.abs(covs - covs.swapaxes(1, 2)).max((1, 2))
    if (skew > 1e-5 * np.abs(largest)).any():
        raise ValueError("covariances must be symmetric")
    if (smallest <= 1e-7 * largest).any() or (smallest < float(limits.tiny)).any() or (smallest < skew).any():
        raise ValueError(f"covariances must be positive definite: smallest eigenvalues {smallest}, largest {largest}")
    return variances, basis


def _measurement(d: int, matrix: Matrix, y: Vector, noise: Matrix) -> tuple[Array, Array, Array]:
    """The parts of a measurement in the default float; ValueError for parts that do not fit together."""
    m = jnp.shape(y)[0] if jnp.ndim(y) == 1 else None
    if jnp.shape(matrix) != (m, d) or jnp.shape(noise) != (m, m):
        told = f"{jnp.shape(matrix)=}, {jnp.shape(y)=}, {jnp.shape(noise)=}"
        raise ValueError(f"a measurement has matrix [m, {d}], y [m], noise [m, m], got {told}")
    if known(noise):
        covariance = np.asarray(noise, np.float64)
        if not (
            np.allclose(covariance, covariance.T, rtol=1e-5, atol=0) and (np.linalg.eigvalsh(covariance) > 0).all()
        ):
            raise ValueError(f"the noise of a measurement must be symmetric positive definite, got {noise=}")
    return tuple(jnp.asarray(value, float) for value in (matrix, y, noise))


def oracle(mixture: GaussianMixture, schedule: Schedule) -> Denoiser:
    """The exact posterior sampler x_0 ~ p(. | x_t): what a distributional denoiser would be with nothing left to learn."""
    return Partial(_oracle, mixture, checked_schedule(schedule))


def _oracle(
    mixture: GaussianMixture, schedule: Schedule, params: Params, key: Key, x_t: Array, t: Array, cond: Any = None
) -> Array:
    def draw(key: Key, x_t: Array, t: Scalar) -> Array:
        return mixture.posterior(schedule, x_t, t).sample(key, 1)[0]

    return jax.vmap(draw)(jax.random.split(checked_key(key), x_t.shape[0]), x_t, t)


def mean_oracle(mixture: GaussianMixture, schedule: Schedule) -> Denoiser:
    """The exact posterior mean E[x_0 | x_t]: what a classical denoiser would be with nothing left to learn."""
    return Partial(_mean_oracle, mixture, checked_schedule(schedule))


def _mean_oracle(
    mixture: GaussianMixture, schedule: Schedule, params: Params, key: Key, x_t: Array, t: Array, cond: Any = None
) -> Array:
    return jax.vmap(lambda x, t: mixture.posterior(schedule, x, t).mean())(x_t, t)
