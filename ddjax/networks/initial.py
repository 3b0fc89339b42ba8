"""Initial kernels of convolutions."""

import math

import flax.linen as nn


def in_rows(init: nn.initializers.Initializer) -> nn.initializers.Initializer:
    """An initialiser of kernels [*window, in, out], drawn as [rows, out]: the same numbers, since the fan-in is the same.

    XLA's CPU backend takes up to 8 s to compile a draw over four axes, and half a second for one over two.
    """
    return lambda key, shape, dtype: init(key, (math.prod(shape[:-1]), shape[-1]), dtype).reshape(shape)
