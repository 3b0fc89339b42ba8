"""The posterior over the weights of a mixture, drawn by a no-U-turn sampler, and whether it is calibrated.

With known components p_k, weights w on the simplex of k and a Dirichlet prior of concentration a:

    (1)  log p(w | x) = sum_n log sum_k w_k p_k(x_n) + sum_k (a_k - 1) log w_k + const
    (2)  w = softmax(u_1, ..., u_(k - 1), 0),   |det d(w_1, ..., w_(k - 1)) / du| = prod_k w_k
    (3)  log p(u | x) = sum_n log sum_k w_k p_k(x_n) + sum_k a_k log w_k - log B(a) - log p(x)
    (4)  rank of w_k = #{draws below the truth},  uniform on 0..L for truths of the prior and L independent draws given x

References: Hoffman and Gelman (the sampler), arXiv 1111.4246; Talts et al. (ranks), arXiv 1804.06788.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
from jaxtyping import Array, Float, Int

from ddjax import inflation
from ddjax.compiled import compiled
from ddjax.inflation import Distortion
from ddjax.mixtures import GaussianMixture
from ddjax.samplers import Times
from ddjax.types import Key, standard_normal
from experiments.common import exact_flows
from experiments.common.exact_flows import ExactFlow


class Length(NamedTuple):
    """Of a chain: steps that adapt it, draws that are kept, and steps from one of these to the next."""

    warmup: int
    kept: int
    thin: int


def weights_of(u: Float[Array, "k_minus_1"]) -> Float[Array, "k"]:
    """Eq. (2)."""
    return jnp.exp(_log_weights(u))


def _log_weights(u: Array) -> Array:
    return jax.nn.log_softmax(jnp.append(u, jnp.zeros((), u.dtype)))


def log_prior(u: Float[Array, "k_minus_1"], prior: Float[Array, "k"]) -> Float[Array, ""]:
    """The log density of u, in nats, for weights of a Dirichlet law: sum_k a_k log w_k - log B(a)."""
    log_beta = jnp.sum(jax.scipy.special.gammaln(prior)) - jax.scipy.special.gammaln(jnp.sum(prior))
    return jnp.sum(prior * _log_weights(u)) - log_beta


def log_posterior(
    u: Float[Array, "k_minus_1"], likelihoods: Float[Array, "n k"], prior: Float[Array, "k"]
) -> Float[Array, ""]:
    """Eq. (3) up to a constant of x. Args: likelihoods: p_k(x_n), each row in a unit of its own, as `likelihoods` gives them."""
    seen = jnp.log(jnp.dot(likelihoods, weights_of(u), precision="highest"))
    return jnp.sum(seen) + log_prior(u, prior)


def balanced(mixture: GaussianMixture, key: Key, n: int) -> Float[Array, "n d"]:
    """n points, of each component as many as its weight says, to the nearest whole number."""
    ends = np.rint(n * np.cumsum(np.asarray(mixture.weights, np.float64))).astype(int)
    component = np.searchsorted(ends, np.arange(n), side="right")
    noise = standard_normal(key, (n, mixture.means.shape[1]))
    factors = jnp.linalg.cholesky(mixture.covs)
    return mixture.means[component] + jnp.einsum("nij,nj->ni", factors[component], noise, precision="highest")


def likelihoods(mixture: GaussianMixture, x: Float[Array, "n d"]) -> Float[Array, "n k"]:
    """p_k(x_n) of the components alone, in units of the largest of each n, which no posterior sees."""
    logs = jax.vmap(mixture.component_log_prob)(x) - jnp.log(mixture.weights)[None]
    return jnp.exp(logs - jnp.max(logs, 1, keepdims=True))


def chain(key: Key, seen: Float[Array, "n k"], prior: Float[Array, "k"], length: Length) -> Float[Array, "kept k"]:
    """Weights from one chain, begun at a draw of the prior; step size and mass matrix are found in its warmup."""
    import blackjax  # an extra, which only its users need

    k = seen.shape[1]
    target = partial(log_posterior, likelihoods=seen, prior=prior)
    key_start, key_warmup, key_walk = jax.random.split(key, 3)
    start = jax.random.dirichlet(key_start, prior + 1)  # off the faces
    adapting = blackjax.window_adaptation(blackjax.nuts, target)
    (state, found), _ = adapting.run(
        key_warmup, jnp.log(start[: k - 1]) - jnp.log(start[k - 1 :]), num_steps=length.warmup
    )
    kernel = blackjax.nuts(target, **found)

    def keep(state: Any, key: Key) -> tuple[Any, Array]:
        state, _ = jax.lax.scan(
            lambda s, key: (kernel.step(key, s)[0], None), state, jax.random.split(key, length.thin)
        )
        return state, weights_of(state.position)

    return jax.lax.scan(keep, state, jax.random.split(key_walk, length.kept))[1]


@compiled
def _chains(keys: Array, seen: Array, prior: Array, length: Length) -> Array:
    of_one = jax.vmap(lambda key, seen: chain(key, seen, prior, length), (0, None))
    return jax.vmap(of_one)(keys, seen)


def chains(
    key: Key, seen: Float[Array, "sets n k"], prior: Float[Array, "k"], *, size: int, length: Length
) -> Float[Array, "sets size kept k"]:
    """`size` chains for each data set, all in one program."""
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"), jax.debug_key_reuse(False):
        return _chains(jax.random.split(key, (seen.shape[0], size)), seen, prior, length)


def ranks(truth: Float[Array, "runs k"], draws: Float[Array, "runs kept k"]) -> Int[Array, "runs k"]:
    """Eq. (4)."""
    return jnp.sum(draws < truth[:, None], 1)


class Uniformity(NamedTuple):
    """p-values of one coordinate's ranks, of Kolmogorov and Smirnov and of chi-square on 10 bins; and the share of truths
    inside of the central 95 %."""

    ks: float
    chi2: float
    inside: float


def uniformity(ranks: Int[np.ndarray, " runs"], kept: int, *, bins: int = 10) -> Uniformity:
    """Whether ranks among `kept` draws are uniform on 0..kept.

    For the first p-value a rank is the middle of its cell: the steps of 1 / (kept + 1) add half of one to the distance.

    Raises: ValueError unless the bins divide the kept + 1 ranks.
    """
    if (kept + 1) % bins:
        raise ValueError(f"bins hold equally many of the {kept + 1} ranks, got {bins=}")
    places = (np.asarray(ranks) + 0.5) / (kept + 1)
    counts = np.histogram(places, bins, (0, 1))[0]
    inside = np.mean((places > 0.025) & (places < 0.975))
    return Uniformity(
        float(scipy.stats.kstest(places, "uniform").pvalue), float(scipy.stats.chisquare(counts).pvalue), float(inside)
    )


def bonferroni(found: Sequence[Uniformity]) -> float:
    """The p-value of many together, of Kolmogorov and Smirnov: the least, times their number."""
    return min(1.0, len(found) * min(of.ks for of in found))


class Posterior(NamedTuple):
    """Of each weight: mean, and ends of the central 95 %; the largest R-hat and the smallest effective sample size."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    rhat: float
    effective: float

    def holds(self, truth: np.ndarray) -> bool:
        """Whether every interval has its truth inside."""
        return bool(((self.low <= truth) & (truth <= self.high)).all())


def summarised(draws: Float[np.ndarray, "chains kept k"]) -> Posterior:
    """Of all chains of one data set."""
    import blackjax.diagnostics as diagnostics

    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        rhat = diagnostics.potential_scale_reduction(jnp.asarray(draws))
        effective = diagnostics.effective_sample_size(jnp.asarray(draws))
    flat = np.asarray(draws).reshape(-1, draws.shape[-1])
    low, high = np.quantile(flat, [0.025, 0.975], 0)
    return Posterior(flat.mean(0), low, high, float(rhat.max()), float(effective.min()))


class Distorted(NamedTuple):
    """By flow: the law's points and latents, balls of data among the latents, balls of latents among the data."""

    points: np.ndarray
    latents: np.ndarray
    up: list[Distortion]
    down: list[Distortion]


def distortions(
    key: Key, law: GaussianMixture, flows: dict[str, ExactFlow], times: Times, *, radius: float, n: int
) -> dict[str, Distorted]:
    """Balls of `radius` about two points of the data and, in units of the prior, about two latents, pushed through each flow."""
    key_points, key_up, key_down, key_flow = jax.random.split(key, 4)
    x = law.sample(key_points, n)
    centres, latent_centres = jnp.array([[0.0, 1.0], [0.3, -0.2]]), jnp.array([[1.0, 0.5], [-0.7, -1.0]])
    found = {}
    for i, (name, flow) in enumerate(flows.items()):
        up, down = (
            [
                inflation.ball(key, c, radius, n)
                for c, key in zip(of, jax.random.split(jax.random.fold_in(key, i)), strict=True)
            ]
            for key, of in ((key_up, centres), (key_down, latent_centres))
        )
        keys = jax.random.split(jax.random.fold_in(key_flow, i), 5)
        rise = lambda key: lambda x: exact_flows.inflated(flow, key, x, times)  # noqa: E731, B023
        fall = lambda key: lambda x: exact_flows.deflated(flow, key, x, times)  # noqa: E731, B023
        found[name] = Distorted(
            np.asarray(x),
            np.asarray(rise(keys[0])(x)),
            [inflation.distorted(rise(key), cloud) for key, cloud in zip(keys[1:3], up, strict=True)],
            [inflation.distorted(fall(key), cloud) for key, cloud in zip(keys[3:], down, strict=True)],
        )
    return found
