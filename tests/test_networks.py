"""Networks against a forward pass written in NumPy, and the cost of a population by the compiler's count."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numpy.testing import assert_allclose as close

from ddjax import denoisers, networks, schedules
from ddjax.networks.embeddings import time_features


def test_no_two_times_look_alike():
    """Distances of features on a fine grid grow with |t - t'|.

    Fails for whole periods, where t = 0 and t = 1 coincide.
    """
    times = np.linspace(0, 1, 201)
    features = np.asarray(time_features(jnp.asarray(times, jnp.float32), 32), np.float64)
    distance = np.sqrt(((features[:, None] - features[None]) ** 2).sum(-1))
    apart = np.abs(times[:, None] - times[None])
    assert (distance >= np.minimum(3 * apart, 1.0) - 1e-5).all()
    assert distance[0, -1] > 1
    close((features**2).sum(1), 16, rtol=1e-5)


def features_reference(t, size, fastest=16.0):
    angles = np.pi * t[:, None] * np.geomspace(0.5, fastest, size // 2)
    return np.concatenate([np.cos(angles), np.sin(angles)], 1)


def forward_reference(params, x_t, t, cond, xi, *, depth, inject, residual, features):
    """The MLP as it is described: xi concatenated to the input of layer `inject`."""
    layers = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params["params"])
    h = np.concatenate([x_t, features(t), *([] if cond is None else [cond])], 1)
    for layer in range(depth):
        kernel, joined = layers[f"hidden_{layer}"]["kernel"], h
        if layer == inject:
            kernel, joined = np.concatenate([kernel, layers["xi"]["kernel"]]), np.concatenate([h, xi], 1)
        update = joined @ kernel + layers[f"hidden_{layer}"]["bias"]
        update = update / (1 + np.exp(-update))
        h = h + update if residual and layer > 0 else update
    return h @ layers["out"]["kernel"] + layers["out"]["bias"]


TIMES = {
    "sinusoidal": (partial(networks.time_features, size=8), partial(features_reference, size=8)),
    "concatenated": (networks.raw_time, lambda t: t[:, None]),
}


def test_time_features_are_those_of_double_precision_in_every_program():
    """Compiled and op by op, to 4 units in the last place of the largest angle, 16 pi. Mutation: frequencies in float32, which
    a compiler folds in another rounding than the one that computes them (9e-6 off, and exported samples 4e-5)."""
    t = jnp.array([1.0, 2 / 3, 1 / 3, 0.123], jnp.float32)
    angles = np.pi * np.asarray(t, np.float64)[:, None] * np.geomspace(0.5, 16, 32)
    exact = np.concatenate([np.cos(angles), np.sin(angles)], -1)
    found = {"compiled": jax.jit(lambda t: time_features(t, 64))(t), "op by op": time_features(t, 64)}
    for name, features in found.items():
        np.testing.assert_allclose(features, exact, rtol=0, atol=4e-6, err_msg=name)


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("inject", [None, 0, 1, 2])
def test_mlp_is_the_concatenation_it_stands_for(inject, residual, time):
    """Fails for xi at another layer, a bias counted twice, a residual around layer 0, a lost condition or time."""
    generator = np.random.default_rng(0)
    x_t, xi, cond, t = (generator.normal(size=size) for size in ((5, 3), (5, 3), (5, 2), 5))
    xi = None if inject is None else xi
    shape = {"depth": 3, "inject": inject, "residual": residual}
    features, expected = TIMES[time]
    network = networks.mlp(3, width=16, cond_size=2, time=features, **shape)
    params = jax.tree.map(lambda leaf: generator.normal(size=leaf.shape), network.init(jax.random.key(0)))
    with jax.enable_x64(True):
        found = jax.jit(network.apply)(params, x_t, t, cond, xi)
    close(found, forward_reference(params, x_t, t, cond, xi, features=expected, **shape), rtol=1e-9)


def test_initial_parameters_depend_on_the_key():
    network = networks.mlp(2, width=8, depth=2)
    first, again, other = (network.init(jax.random.key(seed)) for seed in (0, 0, 1))
    kernel = lambda params: params["params"]["hidden_0"]["kernel"]  # noqa: E731
    assert (kernel(first) == kernel(again)).all()
    assert (kernel(first) != kernel(other)).all()


@pytest.mark.parametrize("population", [denoisers.population, denoisers.folded_population])
def test_late_injection_is_computed_once_for_the_population(population):
    """FLOPs of 8 draws, counted by the compiler, against a count by hand.

    Fails for a Dense on the concatenation.
    """
    width, depth, m, batch, inputs = 64, 4, 8, 32, 3 + 16

    def flops(inject):
        network = networks.mlp(
            3, width=width, depth=depth, inject=inject, time=partial(networks.time_features, size=16)
        )
        denoiser = denoisers.distributional(network, schedules.Rectified())
        x_t, t = jnp.zeros((batch, 3)), jnp.zeros(batch)
        params = network.init(jax.random.key(0))
        draw = jax.jit(partial(population, denoiser, size=m))  # all arrays as arguments: nothing to fold
        return draw.lower(params, jax.random.key(1), x_t, t).compile().cost_analysis()["flops"]

    def products(inject):
        shared = inputs * width + inject * width**2
        each = 3 * width + (depth - 1 - inject) * width**2 + 3 * width
        return 2 * batch * (shared + m * each)

    early, late = flops(0), flops(3)
    close(late / early, products(3) / products(0), rtol=0.15)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("inject", [0, 2])
def test_a_folded_population_is_the_one_of_vmap(inject, residual):
    """Draws and gradients, with labels and images around the MLP.

    Fails for rows in another order, for a hidden state that is not repeated around a residual, or for cond by draws.
    """
    network = networks.mlp(6, width=16, depth=3, inject=inject, cond_size=2, residual=residual)
    denoiser = denoisers.distributional(
        networks.labelled(networks.flattened(network, (2, 3)), 2), schedules.Rectified(), predicts="velocity"
    )
    generator = np.random.default_rng(0)
    x_t = jnp.asarray(generator.normal(size=(4, 2, 3)), jnp.float32)
    t, labels = jnp.asarray(generator.uniform(size=4), jnp.float32), jnp.array([0, 1, 2, 1])

    def draws_and_gradient(population):
        def total(params):
            draws = population(denoiser, params, jax.random.key(2), x_t, t, labels, size=3)
            return jnp.sum(jnp.sin(draws)), draws

        return jax.jit(jax.grad(total, has_aux=True))(network.init(jax.random.key(1)))

    (gradient, draws), expected = map(draws_and_gradient, (denoisers.folded_population, denoisers.population))
    close(draws, expected[1], atol=1e-5)
    jax.tree.map(lambda a, b: close(a, b, atol=1e-5), gradient, expected[0])


class Affine(nnx.Module):
    """A module of someone else's: W x_t + t + cond + xi."""

    def __init__(self, rngs):
        self.linear = nnx.Linear(2, 2, rngs=rngs)

    def __call__(self, x_t, t, cond, xi):
        return self.linear(x_t) + t[:, None] + cond + xi


def test_nnx_modules_are_networks():
    """Outputs and gradients equal the module's own.

    Fails when the adapter drops an argument or a variable.
    """
    network = networks.from_nnx(lambda key: Affine(nnx.Rngs(key)))
    x_t, t, cond, xi = (jnp.array(x) for x in ([[1.0, -2.0]], [0.3], [[5.0, 6.0]], [[0.1, 0.2]]))
    module, params = Affine(nnx.Rngs(jax.random.key(3))), network.init(jax.random.key(3))
    close(network.apply(params, x_t, t, cond, xi), module(x_t, t, cond, xi), rtol=1e-6)
    population = network.apply(params, x_t, t, cond, jnp.stack([xi, 2 * xi], 1))
    close(population[:, 1], module(x_t, t, cond, 2 * xi), rtol=1e-6)
    gradient = jax.jit(jax.grad(lambda params: jnp.sum(network.apply(params, x_t, t, cond, xi) ** 2)))(params)
    theirs = nnx.to_pure_dict(nnx.grad(lambda module: jnp.sum(module(x_t, t, cond, xi) ** 2))(module))
    jax.tree.map(lambda a, b: close(a, b, rtol=1e-5), gradient, theirs)
    assert np.abs(gradient["linear"]["kernel"]).min() > 0


ZERO = jnp.zeros((1, 1))


@pytest.mark.parametrize(
    "make",
    [
        lambda: time_features(jnp.zeros(1), 7),
        lambda: time_features(jnp.zeros(1), 2),
        lambda: networks.mlp(2, depth=3, inject=3),
        lambda: networks.mlp(2, depth=3, inject=-1),
        lambda: networks.mlp(2, inject=0).apply({}, ZERO, ZERO[0], None, None),
        lambda: networks.mlp(2, inject=None).apply({}, ZERO, ZERO[0], None, ZERO),
    ],
)
def test_impossible_settings_are_refused(make):
    with pytest.raises(ValueError, match=r"inject|in pairs"):
        make()
