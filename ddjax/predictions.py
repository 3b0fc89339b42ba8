"""What a network predicts, and how to read one kind as another.

    (A)  prediction = p x_0 + q noise,   x_t = alpha x_0 + sigma noise
    (B)  target = [(p' q - q' p) x_t + (alpha q' - sigma p') value] / (alpha q - sigma p)
    (C)  alpha velocity = alpha' x_t - (alpha sigma sigma' - sigma^2 alpha') score

Every kind is a row (p, q) of scales and rates, and one 2 x 2 solve, eq. (B), reads any kind as any other. The row of the score
is infinite at sigma = 0, where scores are finite: it is read through the noise, -sigma score, and with velocities by (C).
"""

from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ddjax.schedules import Scales, spread_rate, with_rates
from ddjax.types import Key, Network, Params, Scalar, Schedule, floating, shaped

Kind = Literal["x0", "noise", "v", "velocity", "score"]
KINDS = get_args(Kind)

_ROWS = {
    "x0": lambda scales, rates: (1.0, 0.0),
    "noise": lambda scales, rates: (0.0, 1.0),
    "v": lambda scales, rates: (-scales.sigma, scales.alpha),
    "velocity": lambda scales, rates: (rates.alpha, rates.sigma),
}


def convert(
    schedule: Schedule,
    x_t: Float[Array, "*event"],
    t: Scalar,
    value: Float[Array, "*event"],
    *,
    source: Kind,
    target: Kind,
) -> Float[Array, "*event"]:
    """Read a prediction of kind `source` as one of kind `target`, for one example at one time.

    Returns: the converted prediction, eq. (B), in the dtype of `value`. At the ends it is the limit where there is one.
        Where sigma = 0, every kind but x0 gives x_0 = x_t, and a score gives noise 0, v 0 and the velocity; where alpha = 0,
        x0, v and velocity give all kinds, and noise and score give each other. What the source does not determine is infinite
        or NaN: from x0 all else at sigma = 0; from noise and score all else at alpha = 0; and where sigma grows like sqrt(t),
        the velocity at t = 0 of a noise that is not 0.
    Raises: ValueError for an unknown kind, or a value of integers.

    >>> from ddjax import schedules
    >>> x_t, t = jnp.array([1.0]), 0.5  # x_0 = 2 and noise 0 give x_t = (1 - t) 2
    >>> told = {"source": "x0", "schedule": schedules.Rectified(), "x_t": x_t, "t": t, "value": jnp.array([2.0])}
    >>> print(convert(target="noise", **told), convert(target="velocity", **told))
    [0.] [-2.]
    """
    for kind in (source, target):
        if kind not in KINDS:
            raise ValueError(f"a prediction is one of {sorted(KINDS)}, got {kind!r}")
    value = floating(value, "predictions")
    if source == target:
        return value
    scales, rates = with_rates(schedule, t)
    x, given = jnp.asarray(x_t, float), jnp.asarray(value, float)
    if source == "score" and target == "velocity":
        found = (rates.alpha * x - _stir(schedule, scales, rates, t) * given) / scales.alpha
    elif source == "velocity" and target == "score":
        found = (rates.alpha * x - scales.alpha * given) / _stir(schedule, scales, rates, t)
    elif source == "score":
        found = _solved(scales, rates, x, -scales.sigma * given, "noise", target)
    elif target == "score":
        found = -_solved(scales, rates, x, given, source, "noise") / scales.sigma
    else:
        found = _solved(scales, rates, x, given, source, target)
    return found.astype(value.dtype)


def of_network(
    network: Network,
    schedule: Schedule,
    source: Kind,
    target: Kind,
    params: Params,
    key: Key,
    x_t: Float[Array, "batch *event"],
    t: Float[Array, " batch"],
    cond: Any = None,
) -> Float[Array, "batch *event"]:
    """The prediction of a network without xi, of kind `source`, read as `target`: a denoiser, a velocity or a score.

    Raises: ValueError for a network that returns another shape, or an unknown kind.
    """
    value = shaped(Network.of(network).apply(params, x_t, t, cond, None), x_t.shape, "a network")

    def one(x_t: Array, t: Array, value: Array) -> Array:
        return convert(schedule, x_t, t, value, source=source, target=target)

    return jax.vmap(one)(x_t, t, value)


def _solved(scales: Scales, rates: Scales, x_t: Array, value: Array, source: str, target: str) -> Array:
    """Eq. (B). Where sigma' is infinite, a finite velocity says that the noise is 0: the row (0, 1) of the value 0."""
    if source == target:
        return value
    (p, q), (p_target, q_target) = _ROWS[source](scales, rates), _ROWS[target](scales, rates)
    if source == "velocity":
        endless = jnp.isinf(q)
        p, q, value = jnp.where(endless, 0.0, p), jnp.where(endless, 1.0, q), jnp.where(endless, 0 * value, value)
    determinant = scales.alpha * q - scales.sigma * p
    from_x_t = (p_target * q - q_target * p) / determinant
    from_value = (scales.alpha * q_target - scales.sigma * p_target) / determinant
    return from_x_t * x_t + from_value * value


def _stir(schedule: Schedule, scales: Scales, rates: Scales, t: Scalar) -> Array:
    """alpha sigma sigma' - sigma^2 alpha', half the squared diffusion of eq. (C) times alpha."""
    return scales.alpha * spread_rate(schedule, t) - scales.sigma**2 * rates.alpha
