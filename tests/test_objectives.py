"""The loss against sums by hand with the same keys, and its gradient at optima known in closed form."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close

from ddjax import mixtures, objectives, schedules, scoring, times, weights

SCHEDULE = schedules.Rectified()
X_0 = jnp.array([[2.0, -0.3, 0.7], [-1.1, 0.05, 4.0], [0.4, 1.7, -0.2], [0.9, -2.5, 0.1]])


def scaled(params, key, x_t, t, cond=None):
    """A denoiser with something to learn, which takes no notice of xi."""
    return params * x_t + t[:, None]


def by_hand(key, law):
    """t, x_t and squared errors of `scaled` at params = .7, in float64."""
    key_time, key_noise, _ = jax.random.split(key, 3)
    t = np.asarray(law(key_time, len(X_0)), np.float64)
    noise = np.asarray(jax.random.normal(key_noise, X_0.shape), np.float64)
    x_t = (1 - t)[:, None] * np.asarray(X_0, np.float64) + t[:, None] * noise
    return t, ((0.7 * x_t + t[:, None] - X_0) ** 2).sum(1)


def test_one_draw_without_interaction_is_regression():
    """beta = 2, lam = 0, one draw: the squared error; fails for exchanged keys or a mean over elements.

    The weight multiplies each example's own error, which is not mean weight times mean error (trap 3).
    """
    law, weight = times.power(0.5), lambda t: 1 + 5 * t
    t, errors = by_hand(jax.random.key(0), law)
    expected = np.mean((1 + 5 * t) * errors)
    assert abs(expected / (np.mean(1 + 5 * t) * np.mean(errors)) - 1) > 0.02
    squared = scoring.Energy(beta=2.0, lam=0.0)
    general = objectives.distributional(scaled, SCHEDULE, times=law, weight=weight, score=squared, size=1)
    plain = objectives.denoising(scaled, SCHEDULE, times=law, weight=weight)
    for loss_fn in (general, plain):
        loss, metrics = loss_fn(jnp.float32(0.7), jax.random.key(0), X_0)
        close(loss, expected, rtol=1e-5)
        close(metrics["confinement"], np.mean(errors), rtol=1e-5)
        assert (metrics["loss"], metrics["interaction"]) == (loss, 0)


def test_every_example_is_scored_at_its_own_time():
    """Rule and weight may depend on t: three hand-made times, draws and scores.

    Fails when one t serves the batch.
    """
    chosen = jnp.array([0.1, 0.5, 0.9, 0.3])
    law = lambda key, n: chosen  # noqa: E731
    rule = scoring.Energy(beta=lambda t: 2 - t, lam=lambda t: t)
    answers = lambda params, key, x_t, t, cond: X_0 * t[:, None] + jax.random.normal(key, x_t.shape)  # noqa: E731
    weight = weights.sigmoid(SCHEDULE, bias=0.5)
    loss_fn = objectives.distributional(answers, SCHEDULE, times=law, weight=weight, score=rule, size=3)
    loss, metrics = loss_fn(None, jax.random.key(1), X_0)
    key_xi = jax.random.split(jax.random.key(1), 3)[2]
    draws = [X_0 * chosen[:, None] + jax.random.normal(key, X_0.shape) for key in jax.random.split(key_xi, 3)]
    each = [rule(jnp.stack([d[i] for d in draws]), X_0[i], chosen[i]) for i in range(4)]
    expected = np.mean([float(weight(t)) * float(terms.score) for t, terms in zip(chosen, each, strict=True)])
    close(loss, expected, rtol=1e-5)
    close(metrics["confinement"], np.mean([terms.confinement for terms in each]), rtol=1e-5)
    close(metrics["interaction"], np.mean([terms.interaction for terms in each]), rtol=1e-5)


def test_the_condition_reaches_the_denoiser():
    """A denoiser that answers with its condition has loss 0 exactly when the pair is read as (x_0, cond)."""
    copies = lambda params, key, x_t, t, cond: cond["answer"]  # noqa: E731
    loss_fn = objectives.distributional(copies, SCHEDULE, size=2)
    assert loss_fn(None, jax.random.key(2), (X_0, {"answer": X_0}))[0] == 0


DATA = mixtures.GaussianMixture(np.ones(1), np.array([[1.5]]), np.array([[[0.64]]]))


def family(params, key, x_t, t, cond=None):
    """The exact posterior of Gaussian data, its mean shifted and its std scaled by exp(log_scale)."""

    def draw(x, t, xi):
        posterior = DATA.posterior(SCHEDULE, x, t)
        std = jnp.sqrt(posterior.cov()[0])
        return posterior.mean() + params["shift"] + jnp.exp(params["log_scale"]) * std * xi

    return jax.vmap(draw)(x_t, t, jax.random.normal(key, x_t.shape))


@pytest.mark.parametrize(("beta", "lam"), [(1.0, 1.0), (1.0, 0.5), (1.5, 0.8)])
def test_the_gradient_vanishes_at_the_known_optimum(beta, lam):
    """Shift 0 and spread s^2 / S^2 = q / (2 - q) at every t.

    Fails for lam (m - 1)/m or lam / (m - 1) in place of lam.
    """
    rule = scoring.Energy(beta, lam)
    loss_fn = objectives.distributional(family, SCHEDULE, times=times.stratified, score=rule, size=3)

    @jax.jit
    def gradients(log_scale):
        def one(key):
            x_0 = DATA.sample(jax.random.fold_in(key, 0), 256)
            params = {"shift": jnp.zeros(()), "log_scale": log_scale}
            return jax.grad(loss_fn, has_aux=True)(params, jax.random.fold_in(key, 1), x_0)[0]

        return jax.lax.map(one, jax.random.split(jax.random.key(3), 300))

    def sigmas(gradient):
        return float(abs(gradient.mean()) / (gradient.std() / np.sqrt(300)))

    q = lam ** (2 / (2 - beta))
    optimum = gradients(jnp.float32(0.5 * np.log(q / (2 - q))))
    assert sigmas(optimum["shift"]) < 4
    assert sigmas(optimum["log_scale"]) < 4
    elsewhere = gradients(jnp.float32(0.5 * np.log(q / (2 - q)) + 0.2))
    assert sigmas(elsewhere["log_scale"]) > 8


def test_the_loss_is_traced_once():
    """New keys, parameters and data make no new trace; fails when Python sees a value."""
    chex.clear_trace_counter()
    loss_fn = objectives.distributional(scaled, SCHEDULE, size=2, weight=weights.sigmoid(SCHEDULE))

    @jax.jit
    @chex.assert_max_traces(n=1)
    def step(params, key, batch):
        return jax.value_and_grad(loss_fn, has_aux=True)(params, key, batch)

    losses = [float(step(jnp.float32(i), jax.random.key(i), X_0 + i)[0][0]) for i in range(3)]
    assert len(set(losses)) == 3


@pytest.mark.parametrize(
    ("score", "size"),
    [
        (scoring.Energy(), 1),
        (scoring.Energy(lam=lambda t: t), 1),
        (scoring.KernelRule(scoring.rbf()), 1),
        (scoring.Energy(), 0),
    ],
)
def test_populations_too_small_for_the_rule_are_refused_at_once(score, size):
    """Before any data is seen."""
    with pytest.raises(ValueError, match=r"population size must be at least 2|at least 1, got size=0"):
        objectives.distributional(scaled, SCHEDULE, score=score, size=size)
