"""Norms against their definitions in double precision and flax's layers, and what their backward pass keeps."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import ad_checkpoint
from numpy.testing import assert_allclose as close

from ddjax import networks
from ddjax.networks.norms import GroupNorm, layer_norm

GENERATOR = np.random.default_rng(0)
H = 3 + 2 * GENERATOR.normal(size=(2, 5, 7, 24)).astype(np.float32)  # neither centred nor of unit scale
SCALE, SHIFT = GENERATOR.normal(size=(2, 2, 24)).astype(np.float32)


def normed(h, axes):
    """In double precision."""
    h = h.astype(np.float64)
    return (h - h.mean(axes, keepdims=True)) / np.sqrt(h.var(axes, keepdims=True) + 1e-6)


def silu(y):
    return y / (1 + np.exp(-y))


@pytest.mark.parametrize(("dtype", "within"), [(jnp.float32, 1e-5), (jnp.bfloat16, 2e-2)])
def test_the_layer_norm_is_eq_1(dtype, within):
    """Mutations: another axis, scale without 1, epsilon beside the root, sums in bfloat16."""
    h, shift, scale = (jnp.asarray(a, dtype) for a in (H.reshape(2, 35, 24), SHIFT[:, None], SCALE[:, None]))
    found = jax.jit(layer_norm)(h, shift, scale)
    given = (np.asarray(a, np.float64) for a in (h, shift, scale))
    h, shift, scale = given
    close(np.asarray(found, np.float64), normed(h, -1) * (1 + scale) + shift, atol=within, rtol=within)
    assert found.dtype == dtype


@pytest.mark.parametrize(("dtype", "within"), [(jnp.float32, 1e-5), (jnp.bfloat16, 2e-2)])
def test_the_group_norm_is_eq_2(dtype, within):
    """24 channels: gcd(6, 32) = 2 groups. Mutations: groups of neighbours confused, modulation before the weight, no silu."""
    module, h = GroupNorm(nn.silu), jnp.asarray(H, dtype)
    weight, bias = GENERATOR.normal(size=(2, 24)).astype(np.float32)
    params = {"params": {"scale": jnp.asarray(weight), "bias": jnp.asarray(bias)}}
    modulation = jnp.asarray(SCALE, dtype), jnp.asarray(SHIFT, dtype)
    found = jax.jit(module.apply)(params, h, modulation)
    groups = np.asarray(h, np.float64).reshape(2, 35, 2, 12)
    y = normed(groups, (1, 3)).reshape(H.shape) * weight + bias
    scale, shift = (np.asarray(a, np.float64)[:, None, None] for a in modulation)
    close(np.asarray(found, np.float64), silu(y * (1 + scale) + shift), atol=within, rtol=within)
    assert found.dtype == dtype


@pytest.mark.parametrize("channels", [3, 8, 24, 128, 384])
def test_groups_and_parameters_are_those_of_flax(channels):
    """Value and gradient, for as many groups as divide a quarter of the channels, at most 32."""
    h = jnp.asarray(GENERATOR.normal(size=(2, 4, 4, channels)), jnp.float32)
    ours, flax = GroupNorm(), nn.GroupNorm(math.gcd(max(channels // 4, 1), 32))
    params = flax.init(jax.random.key(0), h)
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), params, ours.init(jax.random.key(0), h)))
    with jax.numpy_rank_promotion("allow"):
        expected, found = (
            jax.jit(jax.value_and_grad(lambda h, m=m: jnp.sum(jnp.sin(m.apply(params, h)) ** 2)))(h)
            for m in (flax, ours)
        )
    close(found[0], expected[0], rtol=1e-5)
    close(found[1], expected[1], atol=1e-4)


def test_forward_mode_is_the_difference_quotient():
    """Likelihoods push tangents through. Mutation: a custom_vjp in the place of a checkpoint."""
    h, v = (jnp.asarray(GENERATOR.normal(size=(2, 3, 8)), jnp.float32) for _ in range(2))
    zero = jnp.zeros((2, 1, 8))
    f = jax.jit(lambda h: layer_norm(h, zero, zero))
    close(jax.jvp(f, (h,), (v,))[1], (f(h + 1e-2 * v) - f(h - 1e-2 * v)) / 2e-2, atol=1e-2)


@pytest.mark.parametrize("name", ["dit", "unet"])
def test_the_backward_pass_keeps_no_activation_in_float32(name, capsys):
    """But the scores of attention that is written out, and the batch: in the residuals of the bfloat16 step, by JAX's own list.

    Mutations: a norm, silu or gelu outside a checkpoint.
    """
    shape, rows = (16, 16, 3), 2
    kept = {"inject": None, "dtype": jnp.bfloat16, "kernel": "xla"}
    network = {
        "dit": lambda: networks.dit(shape, patch=2, width=32, depth=1, heads=4, **kept),
        "unet": lambda: networks.unet(shape, width=(32, 32), depth=1, attention=(8,), heads=4, **kept),
    }[name]()
    smallest = rows * 64 * 32  # numbers of the smallest activation
    params = network.init(jax.random.key(0))
    x, t = jnp.zeros((rows, *shape)), jnp.zeros(rows)
    with jax.numpy_dtype_promotion("standard"):
        ad_checkpoint.print_saved_residuals(lambda p: jnp.sum(network.apply(p, x, t, None, None) ** 2), params)
    lines = capsys.readouterr().out.splitlines()
    shapes = [line.partition("[")[2].partition("]")[0] for line in lines if line.startswith(("f32[", "float32["))]
    wide = [tuple(map(int, s.split(","))) for s in shapes if s and math.prod(map(int, s.split(","))) >= smallest]
    tokens = 64
    assert any(line.startswith(("bf16[", "bfloat16[")) for line in lines), lines[:3]
    assert [s for s in wide if s[-2:] != (tokens, tokens)] == []
