"""Features of the time t in [0, 1]: functions t [batch] -> [batch, size] that a network concatenates to its input."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ddjax.inputs import checked_count

TimeFeatures = Callable[[Float[Array, " batch"]], Float[Array, "batch size"]]


def raw_time(t: Float[Array, " batch"]) -> Float[Array, "batch 1"]:
    """t itself, one number: what "time concatenated" means in small examples."""
    return t[:, None]


def time_features(t: Float[Array, " batch"], size: int = 32, *, fastest: float = 16.0) -> Float[Array, "batch size"]:
    """cos and sin of omega t, with size / 2 frequencies in geometric steps from pi / 2 to pi `fastest`.

    The slowest pair turns by a quarter over [0, 1], so no two times coincide (whole periods would make t = 0 and t = 1
    the same input), and the fastest tells neighbouring times apart.

    Raises: ValueError unless size is even and at least 4.
    """
    size = checked_count(size, "size")
    if size < 4 or size % 2:
        raise ValueError(f"time features come in pairs, at least 2 of them, got {size=}")
    # on the host in double precision: each compilation of the same in float32 rounds otherwise, and angles enlarge it
    frequencies = jnp.asarray(np.geomspace(0.5, fastest, size // 2), t.dtype)
    angles = jnp.pi * t[:, None] * frequencies[None, :]
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], -1)
