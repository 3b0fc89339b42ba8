"""How a number reads: which way is better, and whether it is told from the floor."""

from ddjax.judging import Number

LOWER, HIGHER, CLOSER = "lower is better", "higher is better", "closer to the floor is better"
AT_FLOOR = "at the floor"
NOISE = 2.0  # standard deviations of the floor: the truth itself is beyond them in about 1 of 20 draws

_HIGHER = ("class accuracy",)
_CLOSER = (
    "coverage",
    "density",
    "precision",
    "recall",
    "memorisation",
    "ratio",
)  # beyond the floor lies no better model


def better(metric: str) -> str:
    """Which way a metric gets better, by its name."""
    if metric.startswith(_HIGHER):
        return HIGHER
    return CLOSER if any(word in metric for word in _CLOSER) else LOWER


def excess(number: Number) -> float:
    """How far a number is from its floor on the worse side; below 0 on the better one."""
    above = number.value - number.floor
    return {LOWER: above, HIGHER: -above, CLOSER: abs(above)}[better(number.metric)]


def at_floor(number: Number) -> bool:
    """Whether a number is no worse than a draw of the truth may be: by at most the floor's `noise`."""
    return excess(number) <= noise(number)


def noise(number: Number) -> float:
    """How far from the floor draws of the truth lie, 0 where that is not known."""
    return NOISE * (number.floor_std or 0.0)
