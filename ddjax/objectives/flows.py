"""Flow matching: regression of a velocity onto the velocities of single pairs.

    (A)  t_i ~ times,  x_1 = coupling(noise) with noise_i ~ prior, N(0, I),  x_t = alpha x_0 + sigma x_1
    (B)  loss = mean_i w(t_i) mean_over_elements (velocity(x_t, t_i) - (alpha' x_0 + sigma' x_1))^2

The minimiser is the conditional mean of the target, the velocity of a flow from the coupled noise to the data. A
permutation as coupling leaves that noise N(0, I) and makes the flow straighter; in a conditional model it must not see past
the condition (`ddjax.couplings`).
References: Lipman et al., arXiv 2210.02747; Liu et al., arXiv 2209.03003; Tong et al. (couplings), arXiv 2302.00482.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ddjax import couplings, paths, weights
from ddjax import times as time_laws
from ddjax.inputs import checked_coupling, checked_denoiser, checked_key, checked_law, checked_prior, checked_weight
from ddjax.schedules import checked_schedule, with_rates
from ddjax.types import Batch, Key, LossFn, Metrics, Params, Schedule, Velocity, shaped, standard_normal

Prior = Callable[[Key, tuple[int, ...]], Array]


def flow_matching(
    velocity: Velocity,
    schedule: Schedule,
    *,
    times: time_laws.Law = time_laws.uniform,
    weight: weights.Weight = weights.uniform,
    coupling: couplings.Coupling = couplings.independent,
    prior: Prior = standard_normal,
) -> LossFn:
    """The flow-matching loss, eq. (B).

    Args:
        velocity: for instance `flows.network_velocity(network, schedule)`.
        times: law of t, moved off 0 and 1 by one rounding error of the data (`times.drawn`). weight: w(t), per example.
        coupling: re-pairs the noise with (x_0, cond), from `ddjax.couplings`. prior: (key, shape) -> x_1, the law
            that the flow starts from; another than N(0, I) turns one data set into another.
    Returns: loss_fn(params, key, batch); batch is x_0 [batch, *event] or a pair (x_0, cond). Metrics: loss, and
        `pair_cost`, the mean over elements of (x_0 - x_1)^2 that the coupling makes small. All in float32 or better.
    Raises: the loss, ValueError for a batch that is no such thing, a velocity or coupling that returns another shape, or a
        weight that is no scalar.
    """

    velocity, schedule = checked_denoiser(velocity, "velocity"), checked_schedule(schedule)
    times, weight, prior = checked_law(times), checked_weight(weight), checked_prior(prior)
    coupling = checked_coupling(coupling)

    def loss_fn(params: Params, key: Key, batch: Any) -> tuple[Array, Metrics]:
        x_0, cond = Batch.of(batch)
        key_time, key_noise, key_pair, key_velocity = jax.random.split(checked_key(key), 4)
        t = time_laws.drawn(times, key_time, x_0)
        noise = prior(key_noise, x_0.shape).astype(x_0.dtype)
        x_1 = shaped(coupling(key_pair, x_0, noise, cond), x_0.shape, "a coupling")

        def pair(x_0: Array, x_1: Array, t: Array) -> tuple[Array, Array]:
            _, rates = with_rates(schedule, t)
            target = rates.alpha * jnp.asarray(x_0, float) + rates.sigma * jnp.asarray(x_1, float)
            return paths.interpolate(schedule, x_0, x_1, t), target

        x_t, target = jax.vmap(pair)(x_0, x_1, t)
        predicted = shaped(velocity(params, key_velocity, x_t, t, cond), x_t.shape, "a velocity")
        squared = (jnp.asarray(predicted, float) - target) ** 2
        errors = jnp.mean(squared.reshape(x_0.shape[0], -1), 1)
        loss = jnp.mean(weights.of_examples(weight, t) * errors)
        pair_cost = jnp.mean((jnp.asarray(x_0, float) - jnp.asarray(x_1, float)) ** 2)
        return loss, {"loss": loss, "pair_cost": pair_cost}

    return loss_fn
