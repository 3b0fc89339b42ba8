"""The times of a batch, inside the open interval where every kind of prediction determines every other."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from ddjax.times import Law
from ddjax.types import Key, shaped


def drawn_times(times: Law, key: Key, x_0: Float[Array, "batch *event"]) -> Float[Array, " batch"]:
    """One time for each example, moved off 0 and 1 by one rounding error of the data; float32 or better.

    At the very ends a prediction may be 0/0 (`predictions.convert`), and nearer to them its x_0 may leave the range of
    float16. A time that is not a number stays so.

    Raises: ValueError for a law that does not return a time for each example.
    """
    t = shaped(times(key, x_0.shape[0]), x_0.shape[:1], "a law of times")
    edge = float(jnp.finfo(x_0.dtype).eps)
    return jnp.clip(jnp.asarray(t, float), edge, 1 - edge)
