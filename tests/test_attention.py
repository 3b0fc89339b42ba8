"""Attention against its formula, and which kernel is taken where."""

from types import SimpleNamespace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close

from ddjax.networks import attention

GENERATOR = np.random.default_rng(0)
H = GENERATOR.normal(size=(2, 6, 32)).astype(np.float32)
GPU = jax.default_backend() == "gpu"


def module(dtype, kernel):
    return attention.SelfAttention(2, nn.initializers.lecun_normal(), dtype, kernel)


def written_out(params, h):
    """Eq. (A) in double precision, head by head."""
    weights = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params["params"])
    q, k, v = np.moveaxis((h @ weights["qkv"]["kernel"] + weights["qkv"]["bias"]).reshape(2, 6, 3, 2, 16), 2, 0)
    mixed = np.zeros_like(v)
    for head in range(2):
        scores = q[:, :, head] @ k[:, :, head].swapaxes(1, 2) / 4  # sqrt(16)
        p = np.exp(scores - scores.max(-1, keepdims=True))
        mixed[:, :, head] = p / p.sum(-1, keepdims=True) @ v[:, :, head]
    return mixed.reshape(h.shape) @ weights["out"]["kernel"] + weights["out"]["bias"]


@pytest.mark.parametrize(
    ("kernel", "dtype", "within"),
    [
        ("xla", jnp.float32, 1e-5),
        ("xla", jnp.bfloat16, 2e-2),
        ("auto", jnp.bfloat16, 2e-2),
        pytest.param("cudnn", jnp.bfloat16, 2e-2, marks=pytest.mark.skipif(not GPU, reason="needs an NVIDIA GPU")),
    ],
)
def test_attention_is_its_formula(kernel, dtype, within):
    """Mutations: q, k, v in another order, heads and channels confused, the scale of the whole width."""
    net = module(dtype, kernel)
    params = net.init(jax.random.key(0), jnp.asarray(H))
    params = jax.tree.map(lambda leaf: leaf + 0.3 * GENERATOR.normal(size=leaf.shape).astype(np.float32), params)
    expected = written_out(params, H.astype(np.float64))
    found = jax.jit(net.apply)(params, jnp.asarray(H, dtype))
    close(np.asarray(found, np.float64), expected, atol=within * np.abs(expected).max())


H100, OLD, AMD = (SimpleNamespace(compute_capability=c) for c in ("9.0", "7.5", "gfx942"))


@pytest.mark.parametrize(
    ("device", "dtype", "head", "taken"),
    [
        (H100, jnp.bfloat16, 96, "cudnn"),
        (H100, jnp.float16, 64, "cudnn"),
        (H100, jnp.float32, 64, "xla"),
        (H100, jnp.bfloat16, 12, "xla"),
        (H100, jnp.bfloat16, 136, "xla"),
        (OLD, jnp.bfloat16, 64, "xla"),
        (AMD, jnp.bfloat16, 64, "xla"),
        (SimpleNamespace(), jnp.bfloat16, 64, "xla"),
    ],
)
def test_cudnn_is_taken_where_it_exists(monkeypatch, device, dtype, head, taken):
    """By "auto"; a word is obeyed. Mutations: another bound on heads, a test of the platform alone."""
    monkeypatch.setattr(jax, "devices", lambda: [device])
    assert attention.implementation("auto", dtype, head) == taken
    assert attention.implementation("xla", dtype, head) == "xla"
    assert attention.implementation("cudnn", dtype, head) == "cudnn"
