"""The Sinkhorn divergence, by either solver and in either convention.

(A)  S(x, y) = OT(x, y) - OT(x, x) / 2 - OT(y, y) / 2
(B)  OT(x, y) = min_P <P, C> + blur^2 KL(P | x (x) y),   C_ij = ||x_i - y_j||^2 / 2,   P with the marginals of x and y
"""

import warnings
from typing import Literal

from jaxtyping import Array, Float

from ddjax.transport.blocked import sinkhorn_blocked
from ddjax.transport.dense import sinkhorn
from ddjax.transport.samples import Sample
from ddjax.types import Scalar, known

Solver = Literal["dense", "blocked"]
Convention = Literal["geomloss", "ott"]

_SOLVERS = {"dense": sinkhorn, "blocked": sinkhorn_blocked}
_FACTORS = {"geomloss": 1, "ott": 2}


def sinkhorn_divergence(
    x: Sample, y: Sample, *, blur: Scalar, solver: Solver = "dense", convention: Convention = "geomloss"
) -> Float[Array, ""]:
    """Debiased entropic divergence S(x, y) in the geomloss convention (p = 2, blur): S(x, x) = 0, tends to W_2^2 / 2 as blur -> 0.

    Args:
        blur: the square root of the temperature, in units of the data, positive.
        solver: dense is ott-jax's, with three matrices of costs; blocked is for samples too large for them. Both also
            stand alone, `sinkhorn` and `sinkhorn_blocked`, and then say whether they converged.
        convention: geomloss has the ground cost ||x - y||^2 / 2 at temperature blur^2; ott ||x - y||^2 at
            epsilon = 2 blur^2, the same plan at twice the value.
    Warns when the solver did not converge (outside jit; inside, use the solver, which returns the flag).
    Raises: ValueError for samples of different dimension, a blur that is not positive, too many points for memory, or
        another solver or convention.
    References: Feydy et al., arXiv 1810.08278.
    """
    if solver not in _SOLVERS or convention not in _FACTORS:
        allowed = f"solver in {[*_SOLVERS]} and convention in {[*_FACTORS]}"
        raise ValueError(f"need {allowed}, got {solver=}, {convention=}")
    result = _SOLVERS[solver](x, y, blur=blur)
    if known(result.converged) and not result.converged:
        warnings.warn(f"Sinkhorn did not converge at {blur=}: the divergence is approximate", stacklevel=2)
    return _FACTORS[convention] * result.divergence
