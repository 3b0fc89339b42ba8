"""Whether a denoiser's errors at different times belong together: the correlation matrix of its outputs and residuals.

With D_k = D(x_k, t_k) at times t_1 < ... < t_K of one x_0, and <., .> the mean over examples and coordinates, centred:

    (A)  R_kl = <a_k, a_l> / sqrt(<a_k, a_k> <a_l, a_l>)
    (B)  residuals    a_k = x_0 - D_k
    (C)  innovations  a_k = D_{k-1} - D_k,   D_0 = x_0

Noisy states of one x_0 come in three ways: along the forward process, whose increments are independent; with fresh noise at each
time; along the flow, `inflate_path`. Errors that stay correlated add up along a flow, those that do not average out.

Along the forward process the exact D_k = E[x_0 | x_k] is a martingale in reversed time: its innovations are uncorrelated,
R = I, for data of any law. Its residuals are not, for they share what later looks add: <a_k, a_l> = <a_k, a_k> for k < l, and
R_kl^2 = <a_k, a_k> / <a_l, a_l>. With fresh noise neither holds. An error against a known truth is a residual too:
pass E[x_0 | x_k] in the place of x_0.
References: de Albuquerque and Pearson, arXiv 2407.08843.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ddjax import paths
from ddjax.compiled import compiled
from ddjax.inputs import checked_array, checked_denoise, checked_key
from ddjax.schedules import scales_at, snr_loss
from ddjax.types import Denoise, Key, Schedule, known, shaped, standard_normal

Times = Float[Array | np.ndarray, " k"]
States = Float[Array, "k n *event"]


def process_states(schedule: Schedule, key: Key, x_0: Float[Array, "n *event"], times: Times) -> States:
    """x_0 along the forward process at these ascending times, each state made of the one before it.

    x_t = (alpha_t / alpha_s) x_s + noise of variance sigma_t^2 - (alpha_t / alpha_s)^2 sigma_s^2. Raises: ValueError unless the
    times ascend.
    """
    return _walked(schedule, key, checked_array(x_0, "examples [n, *event]"), _ascending(times))


@compiled
def _walked(schedule: Schedule, key: Key, x_0: Array, times: Array) -> Array:
    def advance(state: tuple[Array, Array], inputs: tuple[Key, Array]) -> tuple[tuple[Array, Array], Array]:
        x_s, s = state
        key, t = inputs
        alpha_t, sigma_t = scales_at(schedule, t)
        ratio, gap = alpha_t / scales_at(schedule, s).alpha, snr_loss(schedule, t, s)
        std = sigma_t * jnp.sqrt(gap * (2 - gap))  # the difference of the variances, which would cancel
        noise = standard_normal(key, x_s.shape, x_s.dtype)
        x_t = jax.vmap(lambda x_s, noise: ratio * x_s + std * noise)(x_s, noise).astype(x_s.dtype)
        return (x_t, t), x_t

    key_first, key_rest = jax.random.split(checked_key(key))
    first = _noised(schedule, key_first, x_0, times[0])
    keys = jax.random.split(key_rest, len(times) - 1)
    _, rest = jax.lax.scan(advance, (first, times[0]), (keys, times[1:]))
    return jnp.concatenate([first[None], rest])


def fresh_states(schedule: Schedule, key: Key, x_0: Float[Array, "n *event"], times: Times) -> States:
    """x_0 at each of these times with noise of its own. Raises: ValueError unless the times ascend."""
    return _fresh(schedule, key, checked_array(x_0, "examples [n, *event]"), _ascending(times))


@compiled
def _fresh(schedule: Schedule, key: Key, x_0: Array, times: Array) -> Array:
    keys = jax.random.split(checked_key(key), len(times))
    return jax.lax.map(lambda pair: _noised(schedule, pair[0], x_0, pair[1]), (keys, times))


def outputs(denoise: Denoise, key: Key, states: States, times: Times) -> States:
    """D(x_k, t_k) for the states at each time, a denoiser with its params bound. Raises: ValueError for other times."""
    states, times = checked_array(states, "states [k, n, *event]"), checked_array(times, "times [k]")
    if times.shape != states.shape[:1]:
        raise ValueError(f"need states for each time, got {states.shape=}, {times.shape=}")
    return _denoised(checked_denoise(denoise), key, states, jnp.asarray(times, float))


@compiled
def _denoised(denoise: Denoise, key: Key, states: Array, times: Array) -> Array:
    def at(inputs: tuple[Key, Array, Array]) -> Array:
        key, x, t = inputs
        return shaped(denoise(key, x, jnp.full(x.shape[:1], t)), x.shape, "a denoiser")

    return jax.lax.map(at, (jax.random.split(checked_key(key), len(times)), states, times))


def residuals(outputs: States, x_0: Float[Array, "n *event"] | States) -> States:
    """x_0 less each output, eq. (B); or less a truth at each time."""
    outputs, x_0 = checked_array(outputs, "outputs [k, n, *event]"), checked_array(x_0, "examples [n, *event]")
    return (x_0 if x_0.ndim == outputs.ndim else x_0[None]) - outputs


def innovations(outputs: States, x_0: Float[Array, "n *event"]) -> States:
    """What each output adds to that at the next noisier time, eq. (C), the first to x_0 itself."""
    outputs, x_0 = checked_array(outputs, "outputs [k, n, *event]"), checked_array(x_0, "examples [n, *event]")
    return jnp.concatenate([x_0[None], outputs[:-1]]) - outputs


def autocorrelation(values: States) -> Float[Array, "k k"]:
    """The matrix of eq. (A), 1 on the diagonal; row 0 is against the first time, the l-th off-diagonal is lag l.

    NaN where a value does not vary. Raises: ValueError for fewer than 2 examples.
    """
    values = checked_array(values, "values [k, n, *event]")
    if values.ndim < 2 or values.shape[1] < 2:
        raise ValueError(f"need values [k, n, *event] of at least 2 examples, got {values.shape=}")
    centred = values - jnp.mean(values, 1, keepdims=True)
    flat = centred.reshape(len(values), -1)
    flat = flat / jnp.linalg.norm(flat, axis=1, keepdims=True)
    return jnp.dot(flat, flat.T, precision="highest")


def _noised(schedule: Schedule, key: Key, x_0: Array, t: Array) -> Array:
    noise = standard_normal(key, x_0.shape, x_0.dtype)
    return jax.vmap(lambda x_0, noise: paths.interpolate(schedule, x_0, noise, t))(x_0, noise)


def _ascending(times: Times) -> Array:
    times = checked_array(times, "a vector of times")
    if times.ndim != 1 or not len(times) or (known(times) and not (np.diff(times) > 0).all()):
        raise ValueError(f"need a vector of ascending times, from data (0) to noise (1), got {times=}")
    return jnp.asarray(times, float)
