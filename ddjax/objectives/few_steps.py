"""Objectives of the few-step rivals: maps along the flow itself, x_t -> x_0 or x_t -> x_r, learned without a teacher.

    (A)  x_t = alpha_t x_0 + sigma_t x_1,   v = alpha_t' x_0 + sigma_t' x_1,   (x_0, x_1) data and noise
    (B)  consistency:  mean_i w(t_i) |f(x_t, t) - sg f(x_q, q)|^2,   q = max(t - gap, 0), of the same (x_0, x_1)
    (C)  mean flow:    |u - sg[v - (t - r) du]|^2,   u = u(x_t, t, r),   du = (v . grad_x + d_t) u
    (D)  improved:     |u + (t - r) sg[du'] - v|^2,  du' = (u(x_t, t, t) . grad_x + d_t) u

sg stops the gradient. f is the end of the flow through x_t, u its average velocity between t and r, (x_t - x_r) / (t - r). The
target of (C) is unbiased; the gradient of (B) is biased by O(gap^2). At the exact maps of N(mu, S^2) on the rectified schedule,
with s_t^2 = (1 - t)^2 S^2 + t^2, the losses at one (t, q) or (t, r) are not 0 but

    (E)  2 S^2 (1 - cos(theta_t - theta_q)),  theta_t = atan2(t, (1 - t) S);      S^2 s_r^2 / s_t^4;      S^2 / s_t^2

References: Song et al., arXiv 2303.01469, and Song and Dhariwal, arXiv 2310.14189 (consistency training, Huber's distance); Geng
et al., arXiv 2505.13447 (mean flows), and its improvement, arXiv 2512.02012.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ddjax import paths, weights
from ddjax import times as time_laws
from ddjax.flows import AverageVelocity
from ddjax.inputs import checked_average, checked_denoiser, checked_key, checked_law, checked_prior, checked_weight
from ddjax.objectives.flows import Prior
from ddjax.schedules import checked_schedule, with_rates
from ddjax.types import (
    Batch,
    Denoiser,
    Key,
    LossFn,
    Metrics,
    Params,
    Scalar,
    Schedule,
    known,
    nan_beside,
    shaped,
    standard_normal,
)

Gap = Scalar | Callable[[Float[Array, ""]], Array]


def consistency(
    denoiser: Denoiser,
    schedule: Schedule,
    *,
    times: time_laws.Law = time_laws.uniform,
    gap: Gap = 0.05,
    weight: weights.Weight = weights.uniform,
    huber: float = 0.0,
) -> LossFn:
    """Consistency training, eq. (B).

    Args:
        denoiser: f, for which f(x, 0) = x: `denoisers.mean` of a network that predicts velocities.
        gap: t - q, in (0, 1], or a positive function of t. weight: w(t), for instance 1 / gap.
        huber: c of the distance sqrt(|.|^2 + c^2) - c, in units of the data; 0 for the square.
    Returns: loss_fn(params, key, batch); batch is x_0 [batch, *event] or a pair (x_0, cond). Metrics: loss.
    Raises: ValueError for a gap outside (0, 1], or a negative huber; the loss, for a weight that is no scalar.
    """
    denoiser, schedule = checked_denoiser(denoiser), checked_schedule(schedule)
    times, weight = checked_law(times), checked_weight(weight)
    if known(gap) and not callable(gap) and not 0 < gap <= 1:
        raise ValueError(f"the gap between two times lies in (0, 1], got {gap=}")
    if not 0 <= huber < np.inf:
        raise ValueError(f"Huber's constant must not be negative or infinite, got {huber=}")

    def loss_fn(params: Params, key: Key, batch: Any) -> tuple[Array, Metrics]:
        x_0, cond = Batch.of(batch)
        key_time, key_noise, key_f = jax.random.split(checked_key(key), 3)
        t = time_laws.drawn(times, key_time, x_0)
        q = jnp.maximum(t - (jax.vmap(gap)(t) if callable(gap) else gap), 0.0)
        noise = standard_normal(key_noise, x_0.shape, x_0.dtype)
        noised = jax.vmap(lambda x_0, noise, t: paths.interpolate(schedule, x_0, noise, t))
        output = denoiser(params, key_f, noised(x_0, noise, t), t, cond)
        target = denoiser(jax.lax.stop_gradient(params), jax.random.clone(key_f), noised(x_0, noise, q), q, cond)
        squared = nan_beside(_squares(shaped(output, x_0.shape, "a denoiser"), target), x_0)
        # written so that 0 has a gradient, and small distances their digits
        distance = squared / (jnp.sqrt(squared + huber**2) + huber) if huber else squared
        loss = jnp.mean(weights.of_examples(weight, t) * distance)
        return loss, {"loss": loss}

    return loss_fn


def mean_flow(
    average: AverageVelocity,
    schedule: Schedule,
    *,
    times: time_laws.Law | None = None,
    equal: float | None = None,
    power: float = 1.0,
    improved: bool = False,
    prior: Prior = standard_normal,
) -> LossFn:
    """Mean flows, eq. (C), or their improvement, eq. (D).

    Args:
        average: u, for instance `flows.average_velocity(network)`; the derivative along time needs slow features of it, raw
            times for instance, and layers with a forward mode.
        times: law of both times, of which the later is t; None is sigmoid(N(-.4, 1)).
        equal: share of examples with r = t, in [0, 1]; None is .75, and .5 of the improvement.
        power: p of the weight 1 / sg(loss_i + .01)^p of each example; 0 for none.
        prior: (key, shape) -> x_1, the law that the flow starts from.
    Returns: loss_fn(params, key, batch); batch is x_0 [batch, *event] or a pair (x_0, cond). Metrics: loss, and
        `unweighted`, the mean of eq. (C) or (D).
    Raises: ValueError for a share outside [0, 1], or a negative power.
    """
    equal = (0.5 if improved else 0.75) if equal is None else equal
    if not 0 <= equal <= 1:
        raise ValueError(f"the share of equal times lies in [0, 1], got {equal=}")
    if not 0 <= power < np.inf:
        raise ValueError(f"the power of the weight must not be negative or infinite, got {power=}")
    law = time_laws.logit_normal(-0.4, 1.0) if times is None else checked_law(times)
    average, schedule, prior = checked_average(average), checked_schedule(schedule), checked_prior(prior)

    def loss_fn(params: Params, key: Key, batch: Any) -> tuple[Array, Metrics]:
        x_0, cond = Batch.of(batch)
        key_time, key_other, key_equal, key_noise, key_u = jax.random.split(checked_key(key), 5)
        first, second = time_laws.drawn(law, key_time, x_0), time_laws.drawn(law, key_other, x_0)
        t, r = jnp.maximum(first, second), jnp.minimum(first, second)
        r = jnp.where(jax.random.uniform(key_equal, t.shape) < equal, t, r)
        noise = prior(key_noise, x_0.shape).astype(x_0.dtype)

        def pair(x_0: Array, x_1: Array, t: Array) -> tuple[Array, Array]:
            _, rates = with_rates(schedule, t)
            v = rates.alpha * jnp.asarray(x_0, float) + rates.sigma * jnp.asarray(x_1, float)
            return paths.interpolate(schedule, x_0, x_1, t), v

        def u(x_t: Array, t: Array, r: Array) -> Array:
            return shaped(average(params, jax.random.clone(key_u), x_t, t, r, cond), x_t.shape, "an average velocity")

        x_t, v = jax.vmap(pair)(x_0, noise, t)
        tangent = jax.lax.stop_gradient(u(x_t, t, t)) if improved else v.astype(x_t.dtype)
        value, du = jax.jvp(u, (x_t, t, r), (tangent, jnp.ones_like(t), jnp.zeros_like(r)))
        change = (t - r).reshape(-1, *[1] * (x_0.ndim - 1)) * jax.lax.stop_gradient(jnp.asarray(du, float))
        squared = _squares(jnp.asarray(value, float) + change, v) if improved else _squares(value, v - change)
        weight = jax.lax.stop_gradient(squared + 0.01) ** -power if power else jnp.ones_like(squared)
        loss = jnp.mean(weight * squared)
        return loss, {"loss": loss, "unweighted": jnp.mean(squared)}

    return loss_fn


def _squares(a: Array, b: Array) -> Float[Array, " batch"]:
    return jnp.sum(((jnp.asarray(a, float) - jnp.asarray(b, float)) ** 2).reshape(a.shape[0], -1), 1)
