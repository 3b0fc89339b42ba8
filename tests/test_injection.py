"""Where xi joins behind a gate, and a network with xi that goes on from a mean denoiser's."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close

from ddjax import networks, scoring
from ddjax.networks.injection import pyramid

SHAPE = (8, 8, 1)
GENERATOR = np.random.default_rng(3)
MAKE = {
    "mlp": partial(networks.mlp, 3, width=8, depth=3),
    "unet": partial(networks.unet, SHAPE, width=(8, 16), depth=1, attention=(4,), heads=2),
    "dit": partial(networks.dit, SHAPE, patch=2, width=16, depth=3, heads=2),
}
WITH_XI = [
    ("mlp", {"inject": 0}),
    ("mlp", {"inject": 2}),
    ("mlp", {"inject": 1, "gate": True}),
    ("unet", {"inject": 0}),
    ("unet", {"inject": -1}),
    ("dit", {"inject": 0}),
    ("dit", {"inject": -1}),
]


def normal(*shape):
    return jnp.asarray(GENERATOR.normal(size=shape), jnp.float32)


def shaken(params):
    """Away from 0, so that nothing hides behind an output layer or a gate that is."""
    return jax.tree.map(lambda leaf: leaf + 0.3 * normal(*leaf.shape), params)


def test_a_gated_mlp_is_the_block_that_it_stands_for():
    """In NumPy. Mutations: the gate in front of h as well, xi at the next layer, a gate that sees no time, no silu."""
    params, x_t, t, cond, xi = shaken(MAKE["mlp"](inject=1, gate=True, cond_size=2).init(jax.random.key(0))), *(
        normal(5, 3), jnp.linspace(0.1, 0.9, 5), normal(5, 2), normal(5, 3)
    )  # fmt: skip
    found = MAKE["mlp"](inject=1, gate=True, cond_size=2).apply(params, x_t, t, cond, xi)
    of = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params["params"])
    silu = lambda x: x / (1 + np.exp(-x))  # noqa: E731
    features = np.asarray(networks.time_features(t), np.float64)
    dense = lambda name, x, of=of: x @ of[name]["kernel"] + of[name].get("bias", 0)  # noqa: E731
    h = silu(dense("hidden_0", np.concatenate([x_t, features, cond], 1)))
    joined = dense("h", h, of["injection"]) + dense("xi", np.asarray(xi), of["injection"])
    h = h + dense("gate", silu(features), of["injection"]) * silu(joined)
    close(found, dense("out", silu(dense("hidden_2", silu(dense("hidden_1", h))))), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(("height", "width"), [(4, 4), (3, 5)])
def test_positions_have_noise_of_their_own_and_noise_in_common(height, width):
    """Eq. (B) by the definition, also where an edge cuts windows; every scale is N(0, 1), and the last is one for all.

    Mutations: a mean for the sum over the root; rows and columns exchanged; one scale too few; windows that do not move.
    """
    xi = np.asarray(normal(2, height, width, 3), np.float64)
    found = np.asarray(pyramid(jnp.asarray(xi, jnp.float32))).reshape(2, height, width, -1, 3)
    reaches = [1, 2, 4, 8][: 1 + int(np.ceil(np.log2(max(height, width))))]
    assert found.shape[3] == len(reaches)
    for scale, reach in enumerate(reaches):
        for i, j in np.ndindex(height, width):
            rows, columns = (slice(max(0, at - reach + 1), at + reach) for at in (i, j))
            window = xi[:, rows, columns].reshape(2, -1, 3)
            close(found[:, i, j, scale], window.sum(1) / window.shape[1] ** 0.5, rtol=1e-5, atol=1e-5)
    close(found[:, :, :, -1], np.broadcast_to(found[:, :1, :1, -1], found[:, :, :, -1].shape), atol=1e-5)


@pytest.mark.sampled(4, 1)
@pytest.mark.parametrize(("name", "settings"), WITH_XI)
def test_a_network_goes_on_from_a_mean_denoisers(name, settings):
    """At first it answers as that does, whatever xi is; three steps of the energy score later xi counts.

    Mutations: weights of xi as they were; the rows of x_t in place of those of xi; a gate and what is behind it both zero;
    the mean denoiser's own buffers, which training donates.
    """
    mean, network = MAKE[name](inject=None), MAKE[name](**settings)
    learned = shaken(mean.init(jax.random.key(0)))
    warm = networks.from_mean(network.init(jax.random.key(1)), learned)
    shape = SHAPE if name != "mlp" else (3,)
    x_t, t, xis, x_0 = normal(2, *shape), jnp.array([0.2, 0.9]), normal(2, 4, *shape), normal(2, *shape)

    @jax.jit
    def draws(params):
        return network.apply(params, x_t, t, None, xis)

    @jax.jit
    @jax.grad
    def gradient(params):
        terms = jax.vmap(lambda samples, x_0: scoring.Energy(1.0, 1.0)(samples, x_0, jnp.array(0.5)))(
            draws(params), x_0
        )
        return jnp.mean(terms.confinement - terms.interaction / 2)

    assert not {id(leaf) for leaf in jax.tree.leaves(warm)} & {id(leaf) for leaf in jax.tree.leaves(learned)}
    wanted = jnp.stack([jax.jit(mean.apply)(learned, x_t, t, None, None)] * 4, 1)
    close(draws(warm), wanted, rtol=1e-5, atol=1e-5)
    for _ in range(3):
        warm = jax.tree.map(lambda leaf, grad: leaf - 0.03 * grad, warm, gradient(warm))
    assert float(jnp.std(draws(warm), 1).max()) > 1e-4


@pytest.mark.parametrize(
    ("network", "mean", "told"),
    [
        (networks.mlp(3, width=8, depth=2, inject=1), networks.mlp(3, width=8, depth=3, inject=None), "has no .*hidden_2"),
        (networks.mlp(3, width=8, depth=3, inject=1), networks.mlp(3, width=8, depth=2, inject=None), "has no .*hidden_2"),
        (networks.mlp(3, width=16, depth=2, inject=1), networks.mlp(3, width=8, depth=2, inject=None), "does not make"),
        (networks.mlp(3, width=8, depth=2, inject=1), networks.mlp(4, width=8, depth=2, inject=None), "does not make"),
    ],
)  # fmt: skip
def test_a_network_that_is_not_the_mean_denoisers_with_xi_is_told(network, mean, told):
    with pytest.raises(ValueError, match=told):
        networks.from_mean(network.init(jax.random.key(0)), mean.init(jax.random.key(0)))


@pytest.mark.parametrize("inject", [0, None])
def test_a_gate_before_the_first_layer_is_refused(inject):
    with pytest.raises(ValueError, match="inject"):
        networks.mlp(3, inject=inject, gate=True)
