"""Self-attention of tokens, by the kernel that the device has for it.

    (A)  out(softmax(q k^T / sqrt(d)) v),   q, k, v three layers of the tokens, in one product

Written out (xla) the scores of all pairs of tokens stand in memory, and in float32. cuDNN's kernel (cudnn) goes over them in blocks
and keeps one number for each token. References: Dao et al., arXiv 2205.14135.
"""

from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ddjax.networks.populations import by_rows

Kernel = Literal["auto", "xla", "cudnn"]
_LARGEST_HEAD = 128  # of cuDNN's backward pass before Hopper


class SelfAttention(nn.Module):
    """Eq. (A); `out_init` is that of the last layer."""

    heads: int
    out_init: nn.initializers.Initializer
    dtype: Any
    kernel: Kernel = "auto"

    @nn.compact
    def __call__(self, h: Float[Array, "batch n c"]) -> Float[Array, "batch n c"]:
        """What each token takes from the others."""
        batch, n, channels = h.shape
        qkv = by_rows(nn.Dense(3 * channels, dtype=self.dtype, name="qkv"), h)
        query, key, value = jnp.moveaxis(qkv.reshape(batch, n, 3, self.heads, channels // self.heads), 2, 0)
        kernel = implementation(self.kernel, query.dtype, channels // self.heads)
        with jax.numpy_dtype_promotion("standard"):  # its softmax is in float32; so must gradients in bfloat16 be taken
            mixed = jax.nn.dot_product_attention(query, key, value, implementation=kernel)
        return by_rows(
            nn.Dense(channels, kernel_init=self.out_init, dtype=self.dtype, name="out"), mixed.reshape(h.shape)
        )


def implementation(kernel: Kernel, dtype: Any, head: int) -> str:
    """The kernel of `jax.nn.dot_product_attention`: for "auto" cudnn where device, dtype and size of a head allow, else xla.

    The device is the first of the default backend when the network is traced.
    """
    if kernel != "auto":
        return kernel
    fits = jnp.dtype(dtype).itemsize == 2 and head % 8 == 0 and head <= _LARGEST_HEAD
    return "cudnn" if fits and _has_cudnn(jax.devices()[0]) else "xla"


def _has_cudnn(device: Any) -> bool:
    """NVIDIA, Ampere or later: others have no such number, or none of a compute capability ("gfx942")."""
    major = str(getattr(device, "compute_capability", "")).partition(".")[0]
    return major.isdigit() and int(major) >= 8
