"""What a network is given and asked for, in which space, and the law of a data set that stands in for a perfect one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close
from numpy.testing import assert_array_equal as same

from ddjax import inflation, networks, objectives, paths, schedules
from ddjax.types import Batch, Network

VARIANCES = (3.0, 0.8, 0.05)
PRESERVING = inflation.preserving(np.array(VARIANCES))
REDUCING = inflation.reducing(np.array(VARIANCES), keep=1, gamma=5e-4)
KINDS = [inflation.Anisotropic, inflation.EDM, inflation.EigenEDM]


def key(seed=0):
    return jax.random.key(seed)


def network_of(apply):
    return Network(lambda key: None, lambda params, x_t, t, cond, xi: apply(params, x_t, t))


@pytest.mark.parametrize("schedule", [PRESERVING, REDUCING])
@pytest.mark.parametrize("kind", KINDS)
def test_input_and_target_have_unit_variance(x64, kind, schedule):
    """By the variances of x_t and of x_0 - skip x_t: in each direction, on average over them, or, of the third, neither.

    Fails for a skip without alpha, or an `out` of the wrong noise.
    """
    s2 = np.array(VARIANCES)
    for t in (1e-3, 0.4, 1.0):
        alpha, sigma = (np.asarray(scale) for scale in schedule(t))
        skip, out, into = (np.asarray(c) for c in kind(schedule, VARIANCES)(t))
        inputs = into**2 * (alpha**2 * s2 + sigma**2)
        targets = ((1 - skip * alpha) ** 2 * s2 + (skip * sigma) ** 2) / out**2
        if kind is inflation.Anisotropic:
            close(inputs, 1, rtol=1e-10)
            close(targets, 1, rtol=1e-10)
        elif kind is inflation.EDM:
            close(inputs.mean(), 1, rtol=1e-10)
            close(targets.mean(), 1, rtol=1e-10)
            assert np.ptp(inputs) > 0.1
        else:  # of isotropic data it would be the first
            same(out.shape, (3,))
            ball = inflation.Anisotropic(schedule, (float(s2.mean()),) * 3)(t)
            close([skip, out, into], np.array(ball), rtol=1e-12)


def test_out_is_positive_from_the_smallest_noise_to_the_largest():
    """In float32, for sigma from 1e-8 to 1e4 beside data of 1: within 1e-6 of float64. Fails for s^2 - s^4 / (s^2 + C)."""
    exploding = schedules.VarianceExploding(1e-8, 1e4)
    t = jnp.linspace(0, 1, 13)
    for kind in KINDS:
        found = np.asarray(jax.vmap(kind(exploding, (1.0, 0.04)))(t).out, np.float64).reshape(13, -1)
        sigma = np.asarray(exploding(0.0).sigma, np.float64) * 1e12 ** np.asarray(t, np.float64)[:, None]
        s2 = np.array([[1.0, 0.04]]) if kind is inflation.Anisotropic else np.array([[0.52]])
        assert (found > 0).all()
        close(found / (sigma * np.sqrt(s2 / (s2 + sigma**2))), 1, rtol=3e-5)  # the sigma of float32 itself


def test_a_silent_network_is_the_best_linear_denoiser():
    """The posterior mean of a Gaussian, whose error in units of `out` is 1. Fails for a rule that sums, or another `out`."""
    nothing = network_of(lambda params, x_t, t: jnp.zeros_like(x_t))
    preconditioning = inflation.Anisotropic(PRESERVING, VARIANCES)
    denoiser = inflation.preconditioned(nothing, preconditioning)
    x, t = jax.random.normal(key(), (4, 3)), jnp.array([0.01, 0.3, 0.6, 1.0])
    oracle = inflation.gaussian_oracle(jnp.array(VARIANCES), PRESERVING)
    close(denoiser(None, key(), x, t), oracle(None, key(), x, t), rtol=1e-5)
    rule = inflation.Standardised(preconditioning)
    loss_fn = objectives.distributional(denoiser, PRESERVING, score=rule, size=1)
    data = jnp.sqrt(jnp.array(VARIANCES))[None] * jax.random.normal(key(1), (20_000, 3))
    close(loss_fn(None, key(2), data)[0], 1, atol=0.03)


def images(n=6):
    return np.random.default_rng(1).normal(size=(n, 2, 2)) * np.array([[3.0, 1.0], [0.5, 0.2]]) + 4


def test_both_spaces_have_one_loss(x64):
    """For one function of images: noised, denoised and compared in the space of the data by hand, and in the eigenspace.

    Fails for noise that is diagonal in the wrong space, an inverse turn, or a mean left in.
    """
    eigen = inflation.eigenbasis(images(400))
    schedule = inflation.preserving(eigen.variances)
    weights = jnp.asarray(np.random.default_rng(2).normal(size=(4, 4)))
    seen = network_of(lambda params, x, t: jnp.tanh(x.reshape(-1, 4) @ weights + t[:, None]).reshape(x.shape))
    denoiser = inflation.preconditioned(
        inflation.in_data_space(seen, eigen), inflation.Anisotropic(schedule, eigen.variances)
    )
    x = jnp.asarray(images())
    t, noise = jnp.linspace(0.1, 0.9, 6), jax.random.normal(key(), (6, 4))
    y = eigen.coordinates(x)
    y_t = jax.vmap(lambda y, noise, t: paths.interpolate(schedule, y, noise, t))(y, noise, t)
    in_eigenspace = jnp.sum((denoiser(None, key(), y_t, t) - y) ** 2, 1)
    turn = np.asarray(eigen.basis)
    for i in range(6):
        skip, out, into = (turn @ np.diag(c) @ turn.T for c in inflation.Anisotropic(schedule, eigen.variances)(t[i]))
        alpha, sigma = (turn @ np.diag(c) @ turn.T for c in schedule(t[i]))
        x_0 = (x[i] - eigen.mean).reshape(4)
        x_t = alpha @ x_0 + sigma @ turn @ noise[i]
        denoised = skip @ x_t + out @ seen.apply(None, (into @ x_t).reshape(1, 2, 2), t[i : i + 1], None, None).reshape(
            4
        )
        close(jnp.sum((denoised - x_0) ** 2), in_eigenspace[i], rtol=1e-9)


def test_a_loss_of_data_is_that_of_their_coordinates():
    """The same key, the same number, with and without a condition. Fails where the condition is lost."""
    eigen = inflation.eigenbasis(images(400))
    schedule = inflation.preserving(eigen.variances)

    def conditional(params, key, x_t, t, cond=None):
        return x_t if cond is None else x_t * cond[:, None]

    loss_fn = objectives.denoising(conditional, schedule)
    x, cond = jnp.asarray(images(), jnp.float32), jnp.arange(6.0)
    y = eigen.coordinates(x)
    on_data = inflation.on_data(loss_fn, eigen)
    close(on_data(None, key(), x)[0], loss_fn(None, key(), y)[0], rtol=1e-6)
    close(on_data(None, key(), (x, cond))[0], loss_fn(None, key(), Batch(y, cond))[0], rtol=1e-6)


def test_a_network_learns_in_the_eigenspace():
    """Gradients reach a network through preconditioning and turn, in one program. Fails where either stops them."""
    eigen = inflation.eigenbasis(images(400).reshape(400, 4))
    network = inflation.in_data_space(networks.mlp(4, width=8, depth=1, inject=None), eigen)
    preconditioning = inflation.Anisotropic(inflation.preserving(eigen.variances), eigen.variances)
    loss_fn = objectives.distributional(
        inflation.preconditioned(network, preconditioning),
        preconditioning.schedule,
        score=inflation.Standardised(preconditioning),
        size=1,
    )
    params = network.init(key())
    gradient = jax.jit(jax.grad(lambda params, x: inflation.on_data(loss_fn, eigen)(params, key(1), x)[0]))
    leaves = jax.tree.leaves(gradient(params, jnp.asarray(images().reshape(6, 4), jnp.float32)))
    assert all(np.abs(leaf).max() > 0 and np.isfinite(leaf).all() for leaf in leaves)


@pytest.mark.parametrize(
    "make",
    [
        *[lambda kind=kind: kind(PRESERVING, (1.0, -1.0)) for kind in KINDS],
    ],
)
def test_impossible_requests_are_refused(unchecked, make):
    with pytest.raises(ValueError, match="got "):
        make()
