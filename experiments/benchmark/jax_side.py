"""What every ddjax side shares: device, memory, matmul, a network in bfloat16."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ddjax import runs
from ddjax.types import Network
from experiments.benchmark.worker import seconds


def device() -> str:
    """The kind of the first device: "cpu", or a GPU's name."""
    return jax.devices()[0].device_kind if jax.default_backend() != "cpu" else "cpu"


def memory_mb() -> float:
    """Peak memory: of the process on a CPU, of the device on others."""
    stats = None if jax.default_backend() == "cpu" else jax.devices()[0].memory_stats()
    return stats["peak_bytes_in_use"] / 1e6 if stats else 1e3 * runs.peak_memory_gb()


def matmul(size: int) -> Callable[[], Any]:
    """A product of two square float32 matrices."""
    a, b = jax.random.normal(jax.random.key(0), (2, size, size))
    product = jax.jit(lambda a, b: jnp.dot(a, b))
    return lambda: jax.block_until_ready(product(a, b))


def bf16_peak() -> float:
    """The best rate of products of square matrices in bfloat16, in FLOP/s."""
    size = 512 if jax.default_backend() == "cpu" else 8192
    a = jnp.ones((size, size), jnp.bfloat16)
    product = jax.jit(lambda a: a @ a)

    def several() -> None:
        jax.block_until_ready([product(a) for _ in range(10)])

    several()
    return 20 * size**3 / min(seconds(several) for _ in range(5))


def in_bf16(network: Network) -> Network:
    """The network with weights and activations in bfloat16; parameters and results stay float32."""

    def low(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), tree)

    def apply(params: Any, x_t: jax.Array, t: jax.Array, cond: Any = None, xi: jax.Array | None = None) -> jax.Array:
        return network.apply(low(params), low(x_t), low(t), cond, low(xi)).astype(jnp.float32)

    return network._replace(apply=apply)


def count(params: Any) -> int:
    """Number of trained numbers."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
