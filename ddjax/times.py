"""Laws of the training time t, as functions (key, n) -> t [n] in the open interval (0, 1), and grids for sampling.

Open is meant in floating point: no law of this room returns 0 or 1, where a prediction may determine nothing
(`predictions.convert`). Their least and largest times are eps / 2 and 1 - eps / 2, eps being that of the default float; times
rounded to a shorter dtype may reach 1 again.

Few-step sampling lives at the noise end: laws and weights that starve t near 1 cost most at 1 to 4 steps.
"""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ddjax.inputs import checked_array, checked_count, checked_key, checked_law
from ddjax.schedules import scales_at
from ddjax.types import Key, Schedule, shaped

Law = Callable[[Key, int], Float[Array, " n"]]


def uniform(key: Key, n: int) -> Float[Array, " n"]:
    """Independent t ~ U(0, 1)."""
    return _inside(jax.random.uniform(checked_key(key), (checked_count(n, "n", least=0),)))


def stratified(key: Key, n: int) -> Float[Array, " n"]:
    """One uniform t in each of the n cells [i/n, (i+1)/n): the law of `uniform` with less variance over the batch.

    >>> [int(4 * t) for t in stratified(jax.random.key(0), 4)]
    [0, 1, 2, 3]
    """
    n = checked_count(n, "n", least=0)
    cells = jnp.arange(n, dtype=float)
    t = (cells + jax.random.uniform(checked_key(key), (checked_count(n, "n", least=0),))) / n
    return _inside(jnp.minimum(t, jnp.nextafter((cells + 1) / n, jnp.zeros(()))))  # i + u may round to i + 1


def steps_of(n: int) -> Law:
    """t uniform on the n steps 1/n, 2/n, ..., 1 of a chain, the last moved inside: what DDPM trains on.

    Raises: ValueError for n < 1.
    """
    n = checked_count(n, "n")

    def steps_law(key: Key, size: int) -> Float[Array, " size"]:
        return _inside(jax.random.randint(checked_key(key), (size,), 1, n + 1) / n)

    return steps_law


def drawn(law: Law, key: Key, x_0: Float[Array, "batch *event"]) -> Float[Array, " batch"]:
    """The times of a batch, one for each example, moved off 0 and 1 by one rounding error of the data; float32 or better.

    At the very ends a prediction may be 0/0 (`predictions.convert`), and nearer to them its x_0 may leave the range of
    float16. A time that is not a number stays so.

    Raises: ValueError for a law that does not return a time for each example.
    """
    x_0 = checked_array(x_0, "data [batch, *event]")
    t = shaped(checked_law(law)(key, x_0.shape[0]), x_0.shape[:1], "a law of times")
    edge = float(jnp.finfo(x_0.dtype).eps)
    return jnp.clip(jnp.asarray(t, float), edge, 1 - edge)


def _inside(t: Array) -> Array:
    edge = jnp.finfo(t.dtype).eps / 2
    return jnp.clip(t, edge, 1 - edge)


def power(exponent: float, *, base: Law = uniform) -> Law:
    """t = u^exponent with u from `base`: an exponent below 1 favours the noise end (density t^(1/exponent - 1)).

    Raises: ValueError for an exponent that is not positive and finite.

    >>> bool((power(0.5)(jax.random.key(0), 9) >= uniform(jax.random.key(0), 9)).all())
    True
    """
    if not 0 < exponent < np.inf:
        raise ValueError(f"the exponent must be positive and finite, got {exponent=}")

    base = checked_law(base)

    def power_law(key: Key, n: int) -> Float[Array, " n"]:
        return _inside(base(key, n) ** exponent)

    return power_law


def logit_normal(mean: float = 0.0, std: float = 1.0) -> Law:
    """t = sigmoid(mean + std noise). References: Esser et al., arXiv 2403.03206, section 3.1.

    Raises: ValueError for a std that is not positive and finite, or a mean that is not finite.
    """
    if not (0 < std < np.inf and np.isfinite(mean)):
        raise ValueError(f"need a finite mean and a positive finite std, got {mean=}, {std=}")

    def logit_normal_law(key: Key, n: int) -> Float[Array, " n"]:
        return _inside(
            jax.nn.sigmoid(mean + std * jax.random.normal(checked_key(key), (checked_count(n, "n", least=0),)))
        )

    return logit_normal_law


def shifted(n: int, *, shift: float = 3.0) -> Float[Array, " n_plus_1"]:
    """The grid shift u / (1 + (shift - 1) u) with u = 1 - i/n: finer near noise for shift > 1, uniform for 1.

    Raises: ValueError for n < 1 or a shift that is not positive and finite.
    References: Esser et al., arXiv 2403.03206, section 5.3.2.

    >>> print(shifted(2))  # u = 1/2 goes to 3/2 / 2
    [1.   0.75 0.  ]
    """
    if not 0 < shift < np.inf:
        raise ValueError(f"shift must be positive and finite, got {shift=}")
    u = _descending(n)
    return jnp.asarray(shift * u / (1 + (shift - 1) * u), float)


def karras(n: int, *, rho: float = 7.0, last: float = 0.002) -> Float[Array, " n_plus_1"]:
    """The grid (1 + i/(n - 1) (last^(1/rho) - 1))^rho for i < n, then 0: finer near data for rho > 1.

    Raises: ValueError for n < 1, rho <= 0, or a last positive time outside (0, 1).
    References: Karras et al. (EDM), arXiv 2206.00364, EDM eq. (5), in units of t.

    >>> print(karras(3, rho=1.0, last=0.5))
    [1.   0.75 0.5  0.  ]
    """
    if not (0 < rho < np.inf and 0 < last < 1):
        raise ValueError(f"need finite rho > 0 and 0 < last < 1, got {rho=}, {last=}")
    _descending(n)
    return jnp.asarray(np.append(np.linspace(1.0, last ** (1 / rho), n) ** rho, 0.0), float)


def grid(
    n: int, kind: Literal["uniform", "quadratic", "cosine", "shifted", "karras"] = "uniform"
) -> Float[Array, " n_plus_1"]:
    """Sampling times from exactly 1 down to exactly 0, n + 1 of them, for n >= 1 steps.

    With u = 1 - i/n: "uniform" is u, "quadratic" u^2 (finer near data), "cosine" sin(pi u / 2)^2 (finer at
    both ends); "shifted" and "karras" are the functions of that name at their defaults.

    Raises: ValueError for n < 1 or an unknown kind.

    >>> print(grid(4))
    [1.   0.75 0.5  0.25 0.  ]
    """
    kinds = {
        "uniform": lambda n: jnp.asarray(_descending(n), float),
        "quadratic": lambda n: jnp.asarray(_descending(n) ** 2, float),
        "cosine": lambda n: jnp.asarray(np.sin(np.pi / 2 * _descending(n)) ** 2, float),
        "shifted": shifted,
        "karras": karras,
    }
    if kind not in kinds:
        raise ValueError(f"kind must be one of {sorted(kinds)}, got {kind=}")
    return kinds[kind](n)


def matched(schedule: Schedule, n: int) -> Float[Array, " n_plus_1"]:
    """The grid on which solvers keep their order down to the data: "quadratic" where sigma'(0) is infinite, else "uniform".

    Where sigma grows like sqrt(t) (`OrnsteinUhlenbeck`, `VariancePreserving`), the velocity is not smooth there, and equal
    steps leave Heun's method at order 1.4 to 1.8 and RK4 at 2.5 to 3.5; in u = sqrt(t) all is smooth. Raises: ValueError for n < 1.
    """
    with jax.ensure_compile_time_eval():  # a number also inside jit
        _, (_, rate) = jax.jvp(lambda t: tuple(scales_at(schedule, t)), (jnp.zeros(()),), (jnp.ones(()),))
    return grid(n, "quadratic" if np.isinf(rate).any() else "uniform")


def _descending(n: int) -> np.ndarray:
    return np.linspace(1.0, 0.0, checked_count(n, "n") + 1)
