"""What a network predicts, and how to read one kind as another.

Every kind is a row (p, q) of scales and rates: prediction = p x_0 + q noise. Together with x_t = alpha x_0 + sigma noise,
one 2 x 2 solve gives x_0 and noise, and so any other kind.
"""

from typing import Literal

from jaxtyping import Array, Float

from ddjax.schedules import Scales, with_rates
from ddjax.types import Scalar, Schedule

Kind = Literal["x0", "noise", "v", "velocity", "score"]

_ROWS = {
    "x0": lambda scales, rates: (1.0, 0.0),
    "noise": lambda scales, rates: (0.0, 1.0),
    "v": lambda scales, rates: (-scales.sigma, scales.alpha),
    "velocity": lambda scales, rates: (rates.alpha, rates.sigma),
    "score": lambda scales, rates: (0.0, -1 / scales.sigma),
}


def _row(kind: str, scales: Scales, rates: Scales):
    if kind not in _ROWS:
        raise ValueError(f"a prediction is one of {sorted(_ROWS)}, got {kind!r}")
    return _ROWS[kind](scales, rates)


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

    With rows (p, q) and (p', q') and D = alpha q - sigma p:
    target = [(p' q - q' p) x_t + (alpha q' - sigma p') value] / D.

    Returns: the converted prediction; infinite or NaN exactly where the source does not determine the target
        (noise at t = 0 from x_0, x_0 at alpha = 0 from noise).
    Raises: ValueError for an unknown kind.
    """
    scales, rates = with_rates(schedule, t)
    p, q = _row(source, scales, rates)
    p_target, q_target = _row(target, scales, rates)
    if source == target:
        return value
    determinant = scales.alpha * q - scales.sigma * p
    from_x_t = (p_target * q - q_target * p) / determinant
    from_value = (scales.alpha * q_target - scales.sigma * p_target) / determinant
    return from_x_t * x_t + from_value * value
