"""How fast each direction of a dimension-reducing flow grows: laws (d, keep) -> growth [d], the kept directions first.

    (A)  (s_j^2)' = rho g_j s_j^2,   inflation gap = g_kept - g_j

The gap alone decides how much smaller a direction has become: exp(-rho gap t / 2). A common factor of g is one of rho.
References: de Albuquerque and Pearson, arXiv 2407.08843.
"""

import warnings
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from ddjax.inputs import checked_count

Growth = Callable[[int, int], Float[np.ndarray, " d"]]

KEPT = 2.0


def original(d: int, keep: int) -> Float[np.ndarray, " d"]:
    """g = 2 for the kept, (d - 2 keep) / (d - keep) for the others, 1 on average: a gap of d / (d - keep).

    Beyond half of the directions the others shrink, g < 0, which no noise can do: this warns, and a schedule refuses it.

    Raises: ValueError for a keep outside 1..d.
    """
    _require(d, keep)
    if d / 2 < keep < d:
        warnings.warn(
            f"with {keep=} of {d=}, more than half, the original growth of the others is {(d - 2 * keep) / (d - keep):.3g} < 0: "
            "their variance would have to shrink, and noise adds; take `constant_gap`",
            stacklevel=2,
        )
    return _of(d, keep, KEPT, (d - 2 * keep) / max(d - keep, 1))


def constant_gap(gap: float = 1.0) -> Growth:
    """g = 2 for the kept, 2 - gap for the others: 1.0 for points in the plane, .02 for images.

    Raises: ValueError for a gap outside (0, 2], at whose upper end the others do not grow.
    """
    if not 0 < gap <= KEPT:
        raise ValueError(f"the gap lies in (0, {KEPT:g}], got {gap=}")

    def constant_growth(d: int, keep: int) -> Float[np.ndarray, " d"]:
        _require(d, keep)
        return _of(d, keep, KEPT, KEPT - gap)

    return constant_growth


def _of(d: int, keep: int, kept: float, others: float) -> np.ndarray:
    return np.where(np.arange(d) < keep, kept, others)


def _require(d: int, keep: int) -> None:
    if not checked_count(keep, "keep") <= checked_count(d, "d"):
        raise ValueError(f"keep lies in 1..{d}, the number of directions, got {keep=}")
