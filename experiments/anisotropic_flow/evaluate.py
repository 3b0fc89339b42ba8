"""Flow matching on the path of an inflationary flow, x_t = alpha x_0 + sigma x_1 in each eigen-direction, against its pfODE.

    (1)  u(x, t) = E[alpha' x_0 + sigma' x_1 | x_t = x]                            what flow matching learns, whatever the coupling
    (2)  x_0 and x_1 independent: u is the velocity of the probability-flow ODE of p_0 * N(0, diag(sigma^2)) in scaled coordinates
    (3)  data N(0, s^2), independent: u = (alpha alpha' s^2 + sigma sigma') / (alpha^2 s^2 + sigma^2) x
    (4)  data N(0, s^2), optimal transport (x_1 = x_0 / s): u = (alpha' s + sigma') / (alpha s + sigma) x
    (5)  error = sqrt(E|v - u|^2 / E|u|^2) at x_t of the independent pairs, whose law is that of the pfODE

Transport joins the same ends by another path: other marginals between, and so another velocity.
References: Lipman et al., arXiv 2210.02747; Tong et al. (couplings), arXiv 2302.00482; de Albuquerque and Pearson (inflation),
arXiv 2407.08843.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial
from jaxtyping import Array, Float

from ddjax import couplings, denoisers, flows, inflation, metrics, networks, objectives, training
from ddjax import times as time_laws
from ddjax.inflation import Anisotropic
from ddjax.metrics import Floor
from ddjax.networks.embeddings import time_features
from ddjax.schedules import with_rates
from ddjax.training.state import require_finite
from ddjax.types import Key, Params, Scalar, Schedule, Velocity
from experiments.common import exact_flows
from experiments.common.exact_flows import ExactFlow

TIMES = (0.001, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.8)
_EARLY = 2e-3  # times below this are told apart no further: C(t) is then about that of t = 0


def clock(t: Array) -> Array:
    """A logarithmic clock from 0 to 1: noise grows by the same factor in equal parts of it."""
    return jnp.log1p(t / _EARLY) / np.log1p(1 / _EARLY)


def law(key: Key, n: int) -> Float[Array, " n"]:
    """Times u^4 of the clock, u ~ U(0, 1) stratified: more of the early ones, at which the velocity is large and hard to learn."""
    u = time_laws.stratified(key, n) ** 4
    eps = jnp.finfo(u.dtype).eps
    return jnp.clip(_EARLY * jnp.expm1(u * np.log1p(1 / _EARLY)), eps, 1 - eps)


def learned(flow: ExactFlow, width: int) -> tuple[Any, Velocity]:
    """A network and the velocity that it gives, through a preconditioned denoiser (`inflation.preconditioned`)."""
    network = networks.mlp(
        2, width=width, depth=3, inject=None, time=lambda t: time_features(clock(t), 16, fastest=4.0)
    )
    denoiser = inflation.preconditioned(network, Anisotropic(flow.schedule, flow.eigen.variances))
    return network, Partial(_velocity, denoiser, flow.schedule)


def _velocity(denoiser: Any, schedule: Schedule, params: Params, key: Key, x_t: Array, t: Array, cond: Any) -> Array:
    return flows.velocity(denoisers.bind(denoiser, params), schedule)(key, x_t, t)


def weight(flow: ExactFlow, t: Scalar) -> Scalar:
    """One over the mean square of what the network is multiplied with on its way into the velocity."""
    scales, rates = with_rates(flow.schedule, t)
    factor = rates.alpha - scales.alpha * rates.sigma / scales.sigma
    return 1 / jnp.mean((factor * Anisotropic(flow.schedule, flow.eigen.variances)(t).out) ** 2)


def whitened_cost(flow: ExactFlow) -> couplings.Cost:
    """||x_0 / s - x_1||^2: distances in units of the path, whose noise has the shape of the data."""
    std = jnp.sqrt(flow.eigen.variances)
    return lambda x_0, x_1, cond=None: couplings.squared(x_0 / std[None], x_1, cond)


def transported(flow: ExactFlow, pairing: couplings.Coupling) -> couplings.Coupling:
    """`couplings.assignment` or `couplings.sinkhorn` by `whitened_cost`."""
    return partial(pairing, cost=whitened_cost(flow))


def trained(
    flow: ExactFlow, coupling: couplings.Coupling, key: Key, *, steps: int, batch: int, width: int, learning_rate: float
) -> Params:
    """Averaged parameters after flow matching on fresh data of the law."""
    network, velocity = learned(flow, width)
    loss_fn = objectives.flow_matching(
        velocity, flow.schedule, times=law, weight=partial(weight, flow), coupling=coupling
    )
    optimizer = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))
    train_step = training.make_train_step(loss_fn, optimizer)

    def one(state: training.TrainState, _: None) -> tuple[training.TrainState, None]:
        key_batch, _key_loss = state.keys()
        return train_step(state, flow.mixture.sample(key_batch, batch))[0], None

    key_init, key_train = jax.random.split(key)
    state = training.TrainState.create(network.init(key_init), optimizer, key_train)
    state = jax.jit(lambda state: jax.lax.scan(one, state, None, length=steps)[0])(state)
    require_finite(state)
    return state.ema


class Errors(NamedTuple):
    """Mean squares at `TIMES`, of v - u and of u."""

    off: np.ndarray
    size: np.ndarray

    def relative(self) -> np.ndarray:
        """Eq. (5) at each time."""
        return np.sqrt(self.off / self.size)


def errors(
    flow: ExactFlow, velocity: Velocity, params: Params, key: Key, *, n: int, times: tuple[float, ...] = TIMES
) -> Errors:
    """At n points of p_t for each time."""
    field = exact_flows.field(flow)

    def at(t: Array, key: Key) -> tuple[Array, Array]:
        key_data, key_noise, key_truth, key_velocity = jax.random.split(key, 4)
        alpha, sigma = flow.schedule(t)
        x_0 = flow.mixture.sample(key_data, n)
        x_t = alpha[None] * x_0 + sigma[None] * jax.random.normal(key_noise, x_0.shape)
        truth = field(key_truth, x_t, jnp.full(n, t))
        found = velocity(params, key_velocity, x_t, jnp.full(n, t), None)
        return jnp.mean(jnp.sum((found - truth) ** 2, 1)), jnp.mean(jnp.sum(truth**2, 1))

    keys = jax.random.split(key, len(times))
    found = jax.jit(lambda: jax.lax.map(lambda each: at(*each), (jnp.asarray(times), keys)))()
    return Errors(*(np.asarray(part, np.float64) for part in found))


def overall(flow: ExactFlow, velocity: Velocity, params: Params, key: Key, *, n: int, cells: int = 64) -> float:
    """Eq. (5) with both means over t ~ U(0, 1) too, by the middles of equal cells of the clock."""
    u = (np.arange(cells) + 0.5) / cells
    t = _EARLY * np.expm1(u * np.log1p(1 / _EARLY))
    found = errors(flow, velocity, params, key, n=n, times=tuple(t.tolist()))
    cell = t + _EARLY  # dt / du, up to a factor
    return float(np.sqrt((cell * found.off).sum() / (cell * found.size).sum()))


def spread(flow: ExactFlow, coupling: couplings.Coupling, key: Key, *, batch: int, batches: int = 16) -> np.ndarray:
    """Variance of x_t of the pairs at `TIMES` in units of that of independent pairs, the mean over both directions."""

    def correlation(key: Key) -> Array:
        key_data, key_noise, key_pair = jax.random.split(key, 3)
        x_0 = flow.mixture.sample(key_data, batch)
        x_1 = coupling(key_pair, x_0, jax.random.normal(key_noise, x_0.shape), None)
        return jnp.mean(x_0 / jnp.sqrt(flow.eigen.variances)[None] * x_1, 0)

    rho = np.asarray(jax.jit(lambda keys: jax.lax.map(correlation, keys))(jax.random.split(key, batches))).mean(0)
    std = np.sqrt(np.asarray(flow.eigen.variances))
    rows = []
    for t in TIMES:
        alpha, sigma = (np.asarray(scale) for scale in flow.schedule(t))
        alone = (alpha * std) ** 2 + sigma**2
        rows.append(np.mean(1 + 2 * alpha * std * sigma * rho / alone))
    return np.array(rows)


def distance(
    flow: ExactFlow, velocity: Velocity, params: Params, key: Key, *, n: int, steps: int
) -> tuple[float, Floor]:
    """MMD^2 of n points of the learned flow to n of the law, both in units of the data, and the floor."""
    key_latents, key_flow, key_truth, key_floor = jax.random.split(key, 4)
    std = jnp.sqrt(flow.eigen.variances)
    sample = lambda key, n: flow.mixture.sample(key, n) / std[None]  # noqa: E731
    field = Partial(_bound, velocity, params)
    latents = exact_flows.latent_prior(flow).sample(key_latents, n)
    made = inflation.generate(field, key_flow, latents, inflation.variance_preserving(steps))
    floor = metrics.floor(metrics.mmd, sample, key_floor, n=n, repeats=16)
    return float(metrics.mmd(made / std[None], sample(key_truth, n))), floor


def _bound(velocity: Velocity, params: Params, key: Key, x: Array, t: Array) -> Array:
    return velocity(params, key, x, t, None)


def gaussian_slopes(
    schedule: Schedule, variances: Float[Array, " d"], t: Scalar
) -> tuple[Float[Array, " d"], Float[Array, " d"]]:
    """u / x of eq. (3) and of eq. (4), each direction for itself."""
    (alpha, sigma), rates = with_rates(schedule, t)
    std = jnp.sqrt(variances)
    independent = (alpha * rates.alpha * variances + sigma * rates.sigma) / (alpha**2 * variances + sigma**2)
    return independent, (rates.alpha * std + rates.sigma) / (alpha * std + sigma)
