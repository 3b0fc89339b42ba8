"""Times at 0 and 1: laws that stay inside, conversions that return what is determined, losses that stay finite."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close

from ddjax import denoisers, flows, objectives, predictions, samplers, schedules, times
from ddjax.predictions import KINDS
from ddjax.types import Network

LAWS = {
    "uniform": times.uniform,
    "stratified": times.stratified,
    "steps of a chain": times.steps_of(3),
    "power 40": times.power(40.0),
    "power 1/40": times.power(1 / 40),
    "power of stratified": times.power(0.5, base=times.stratified),
    "logit-normal": times.logit_normal(std=4.0),
    "far logit-normal": times.logit_normal(mean=30.0),
    "near logit-normal": times.logit_normal(mean=-300.0),
}
NEXT = float(np.finfo(np.float32).eps)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("end", [0.0, 1.0 - 2.0**-24, 2.0**-24])
def test_laws_are_open_whatever_the_generator_gives(name, end, monkeypatch):
    """Its extremes, 0 and 1 - eps / 2, in place of draws. Fails for a law without its clip, or one before its power."""
    monkeypatch.setattr(jax.random, "uniform", lambda key, shape, *_: jnp.full(shape, end, jnp.float32))
    for n in (1, 3, 256, 100_000):
        t = np.asarray(LAWS[name](jax.random.key(0), n))
        assert t.dtype == np.float32
        assert (t > 0).all()
        assert (t < 1).all()


def test_stratified_cells_stay_half_open_where_many_round(monkeypatch):
    """Fails where i + u rounds to i + 1, which is in the next cell."""
    monkeypatch.setattr(jax.random, "uniform", lambda key, shape, *_: jnp.full(shape, 1 - 2.0**-24, jnp.float32))
    n = 2**16
    t = np.asarray(times.stratified(jax.random.key(0), n), np.float64)
    assert (np.floor(t * n) == np.arange(n)).all()


def truth(kind, scales, rates, spread, x_0, noise, score):
    """Each kind at one end from x_0, noise and the score, which at sigma = 0 is not noise / sigma but given."""
    (alpha, sigma), (alpha_rate, sigma_rate) = scales, rates
    return {
        "x0": x_0,
        "noise": noise,
        "v": alpha * noise - sigma * x_0,
        "score": score,
        # sigma' noise, where noise is 0 and sigma' infinite, is -sigma sigma' score
        "velocity": alpha_rate * x_0 + (-spread * score if np.isinf(sigma_rate) else sigma_rate * noise),
    }[kind]


def determined(source, target, schedule, t):
    """The table of the docstring of `convert`."""
    if source == target:
        return True
    alpha, sigma = map(float, schedule(t))
    rootlike = np.isinf(float(schedules.with_rates(schedule, t)[1].sigma))
    if sigma == 0:
        if source == "x0":
            return False
        if target in ("x0", "noise", "v"):
            return True
        if target == "velocity":
            return source == "score" or not rootlike
        return source == "velocity" and rootlike
    return alpha > 0 or source not in ("noise", "score") or {source, target} == {"noise", "score"}


@pytest.mark.parametrize("t", [0.0, 1.0])
def test_conversions_at_the_ends_are_limits_or_not_numbers(schedule, t):
    """Every pair at both ends of every schedule: the value of the definitions, or nowhere a finite number.

    At sigma = 0 a score is finite, its noise -sigma score is 0. Fails for the score's row 1 / sigma at 0, for 0 / 0 between
    noise and score at alpha = 0, and for an epsilon that makes numbers of what is not determined.
    """
    (alpha, sigma), rates = (tuple(map(float, scale)) for scale in schedules.with_rates(schedule, t))
    spread = float(schedules.spread_rate(schedule, t))
    x_0 = np.array([2.0, -0.3, 0.7])
    given_score = np.array([0.4, -1.1, 0.2])
    for source, target in itertools.product(KINDS, KINDS):
        tied = sigma == 0 and (
            np.isinf(rates[1]) or source == "score"
        )  # finite velocities and scores have noise 0 there
        noise = 0 * x_0 if tied else np.array([0.4, 1.7, -0.2])
        score = given_score if sigma == 0 else -noise / sigma
        kinds = {
            kind: truth(kind, (alpha, sigma), rates, spread, x_0, noise, score).astype(np.float32)
            for kind in (source, target)
        }
        x_t = jnp.asarray(alpha * x_0 + sigma * noise, jnp.float32)
        found = predictions.convert(schedule, x_t, t, jnp.asarray(kinds[source]), source=source, target=target)
        if determined(source, target, schedule, t):
            close(found, kinds[target], rtol=2e-5, atol=2e-5, err_msg=f"{source} -> {target}")
        else:
            assert not np.isfinite(found).all(), f"{source} -> {target}: {found}"


def test_spread_rate_is_half_the_rate_of_the_variance(x64, schedule):
    """By central differences of sigma^2 inside; at 0 by the forward one. Fails for sigma sigma' = 0 inf at 0."""
    for t, step, ahead in ((0.0, 1e-7, 0.0), (0.3, 1e-6, 1e-6), (0.9, 1e-6, 1e-6)):
        up, down = (float(schedule(u).sigma) ** 2 for u in (t + step, t - ahead))
        close(schedules.spread_rate(schedule, t), (up - down) / (step + ahead) / 2, rtol=1e-4, atol=1e-6)


def affine(predicts):
    """A network with something to learn that predicts any kind."""

    def apply(params, x_t, t, cond, xi):
        return params * x_t + (0 if xi is None else xi)

    return Network(lambda key: jnp.ones(()), apply)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("predicts", KINDS)
def test_losses_are_finite_at_the_ends_and_next_to_them(schedule, predicts):
    """Values and gradients at t = 0, 1 and their neighbours. Fails without the clip of times in the objective."""
    x_0 = jnp.array([[2.0, -0.3], [-1.1, 0.05], [0.4, 1.7], [0.9, -2.5], [0.1, 0.2]])
    law = lambda key, n: jnp.array([0.0, NEXT / 2, 1 - NEXT / 2, 1.0, 0.5])  # noqa: E731
    network = affine(predicts)
    losses = {
        "denoising": objectives.denoising(denoisers.mean(network, schedule, predicts=predicts), schedule, times=law),
        "flow_matching": objectives.flow_matching(
            flows.network_velocity(network, schedule, predicts=predicts), schedule, times=law
        ),
    }
    found = jax.jit(
        lambda keys: {
            name: jax.value_and_grad(loss_fn, has_aux=True)(jnp.float32(0.7), key, x_0)
            for key, (name, loss_fn) in zip(keys, losses.items(), strict=True)
        }
    )(jax.random.split(jax.random.key(0)))
    for name, value in found.items():
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(value)), name


def test_a_time_or_a_number_that_is_not_one_gives_a_loss_that_is_not():
    """NaN in x_0, in t, in params or from the network. Fails for a clip that takes NaN for a bound."""
    rectified = schedules.Rectified()
    x_0, nan = jnp.ones((3, 2)), jnp.float32(np.nan)
    inside = lambda key, n: jnp.full(n, 0.5)  # noqa: E731
    beyond = lambda key, n: jnp.full(n, 0.5).at[1].set(np.nan)  # noqa: E731
    for law, data, params in (
        (inside, x_0.at[1, 1].set(np.nan), jnp.float32(1.0)),
        (beyond, x_0, jnp.float32(1.0)),
        (inside, x_0, nan),
    ):
        for loss_fn in (
            objectives.denoising(denoisers.mean(affine("x0"), rectified), rectified, times=law),
            objectives.flow_matching(flows.network_velocity(affine("x0"), rectified), rectified, times=law),
        ):
            assert np.isnan(loss_fn(params, jax.random.key(0), data)[0])


@pytest.mark.parametrize(
    "make",
    [
        lambda: times.power(float("inf")),
        lambda: times.logit_normal(float("nan")),
        lambda: times.logit_normal(0.0, float("inf")),
        lambda: times.shifted(4, shift=float("inf")),
        lambda: times.karras(4, rho=float("inf")),
        lambda: schedules.VariancePreserving(0.1, float("inf")),
        lambda: schedules.VarianceExploding(0.1, float("inf")),
        lambda: schedules.OrnsteinUhlenbeck(float("inf")),
        lambda: denoisers.guided(lambda *_: None, float("nan"), null=0),
        lambda: flows.integrate(lambda key, x, t: x, jax.random.key(0), jnp.ones((1, 1)), tolerance=float("inf")),
    ],
)
def test_endless_settings_are_refused(make):
    with pytest.raises(ValueError, match="got "):
        make()


def test_known_arrays_inside_jit_are_looked_at_by_numpy():
    """A step made outside and called inside, array settings, a grid by schedule. Fails where a comparison is traced."""
    step = samplers.bridge(lambda key, x_t, t: x_t, schedules.Rectified(), churn=jnp.float32(0.5))
    t, s, x = jnp.float32(0.5), jnp.float32(0.2), jnp.ones((2, 1))
    found = jax.jit(lambda x: step(jax.random.key(0), x, t, s))(x)
    close(found, step(jax.random.key(0), x, t, s), rtol=1e-6)
    grid = jax.jit(lambda: times.matched(schedules.OrnsteinUhlenbeck(), 4))()
    close(grid, times.grid(4, "quadratic"))
    close(times.matched(schedules.Rectified(), 4), times.grid(4))
