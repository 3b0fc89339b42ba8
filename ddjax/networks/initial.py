"""Initial kernels of convolutions."""

import math
from typing import Any

import flax.linen as nn
from jaxtyping import Array

from ddjax.types import Key


def lecun_normal(key: Key, shape: tuple[int, ...], dtype: Any) -> Array:
    """flax's numbers for a kernel [*window, in, out], drawn as [rows, out], whose fan-in is the same.

    XLA's CPU backend takes up to 8 s to compile a draw over four axes, and half a second for one over two.
    """
    rows = math.prod(shape[:-1]), shape[-1]
    return nn.initializers.lecun_normal()(key, rows, dtype).reshape(shape)
