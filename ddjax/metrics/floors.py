"""What a distance reads between two fresh samples of the truth: the floor that every reported number stands on."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from ddjax.inputs import checked_count, checked_function, checked_key
from ddjax.types import Key

LEAST = 5  # pairs that a standard deviation is taken of


class Floor(NamedTuple):
    """Mean and standard deviation of a metric between pairs of true samples."""

    mean: float
    std: float


def floor(
    metric: Callable[[Array, Array], Float[Array, ""]],
    sample: Callable[[Key, int], Float[Array, "n d"]],
    key: Key,
    *,
    n: int,
    repeats: int = 8,
) -> Floor:
    """The floor of `metric` at sample size n, over `repeats` independent pairs `sample(key, n)`.

    Raises: ValueError for fewer than 5 repeats, whose standard deviation says nothing.
    """
    n, repeats = checked_count(n, "n"), checked_count(repeats, "repeats", least=LEAST)
    metric = checked_function(metric, "metric", "x", "y")
    sample = checked_function(sample, "sample", "key", "n")
    keys = jax.random.split(checked_key(key), (repeats, 2))
    values = [float(metric(sample(pair[0], n), sample(pair[1], n))) for pair in keys]
    with np.errstate(invalid="ignore"):  # a metric that is infinite has no spread: NaN
        return Floor(float(np.mean(values)), float(np.std(values, ddof=1)))
