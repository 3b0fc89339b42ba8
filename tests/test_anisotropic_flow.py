"""Flow matching on anisotropic paths: whose velocity it learns, and the study that measures it."""

import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddjax import couplings, inflation, objectives, predictions
from ddjax.mixtures import GaussianMixture
from ddjax.schedules import with_rates
from experiments.anisotropic_flow import evaluate as judges
from experiments.anisotropic_flow import experiment as anisotropic_flow
from experiments.common import exact_flows

VARIANCES = np.array([1.7, 0.4])
SCHEDULES = {
    "preserving": inflation.preserving(VARIANCES, gamma=5e-4),
    "reducing": inflation.reducing(VARIANCES, keep=1, gamma=5e-4),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_for_a_gaussian_independent_pairs_teach_the_pfode_and_transport_another_velocity(name):
    """Eq. (C) is the probability flow of the exact posterior mean, and the regression of the targets on x_t; transported pairs
    have that of eq. (D), and not eq. (C). Mutations: `sigma` for `sigma^2` in eq. (C); the coupling left out."""
    schedule, t, n, paired = SCHEDULES[name], 0.4, 4000, 1000
    slopes = judges.gaussian_slopes(schedule, jnp.asarray(VARIANCES, float), t)
    x = jnp.array([[0.3, -0.8]])
    mean = inflation.gaussian_oracle(VARIANCES, schedule)(None, jax.random.key(0), x, jnp.array([t]))
    exact = predictions.convert(schedule, x[0], jnp.asarray(t), mean[0], source="x0", target="velocity")
    np.testing.assert_allclose(slopes[0] * x[0], exact, rtol=1e-3, atol=1e-4)
    scales, rates = (np.asarray(pair) for pair in with_rates(schedule, t))
    for j, key in enumerate(jax.random.split(jax.random.key(1))):
        key_data, key_noise, key_pair = jax.random.split(key, 3)
        x_0, noise = (standardised(jax.random.normal(k, (n, 1))) for k in (key_data, key_noise))
        (alpha, sigma), (alpha_rate, sigma_rate) = scales[:, j], rates[:, j]
        alpha, alpha_rate = alpha * VARIANCES[j] ** 0.5, alpha_rate * VARIANCES[j] ** 0.5  # of standardised data
        one = (abs(alpha_rate * sigma) + abs(alpha * sigma_rate)) / (
            alpha**2 + sigma**2
        )  # what a correlation of 1 adds
        few, some = standardised(x_0[:paired]), standardised(noise[:paired])
        for data, x_1, slope, error in (
            (x_0, noise, slopes[0][j], 5 * one / n**0.5),
            (few, couplings.assignment(key_pair, few, some), slopes[1][j], 0.02 * one),
        ):
            x_t, target = alpha * data + sigma * x_1, alpha_rate * data + sigma_rate * x_1
            found = float(jnp.sum(x_t * target) / jnp.sum(x_t**2))
            assert abs(found - float(slope)) < error < abs(float(slopes[1][j] - slopes[0][j])) / 2


def standardised(x):
    return (x - jnp.mean(x)) / jnp.std(x)


def test_the_preserving_flow_of_a_gaussian_stands_still():
    """Its marginals are all the same: u = 0 with independent pairs, and not with transported ones."""
    for t in (0.0, 0.1, 0.7):
        independent, coupled = judges.gaussian_slopes(SCHEDULES["preserving"], jnp.asarray(VARIANCES, float), t)
        assert float(jnp.abs(independent).max()) < 2e-2 * float(jnp.abs(coupled).min())


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_pfode_velocity_minimises_the_loss_of_independent_pairs(name):
    """At the exact velocity v, the loss of v + a v + b x_t has derivative 0 in a and b within 4 standard errors; that of
    transported pairs has not. Mutation: half of the exact velocity."""
    law = GaussianMixture(np.array([0.3, 0.7]), np.array([[1.5, 0.0], [-0.6, 0.2]]), np.stack([0.2 * np.eye(2)] * 2))
    flow = getattr(exact_flows, name)(law)
    oracle = inflation.mixture_oracle(flow.mixture, flow.schedule)

    def velocity(along, key, x_t, t, cond=None):
        convert = partial(predictions.convert, flow.schedule, source="x0", target="velocity")
        exact = jax.vmap(convert)(x_t, t, oracle(None, key, x_t, t))
        return exact + along[0] * exact + along[1] * x_t

    def scores(coupling):
        times = lambda key, n: jax.random.uniform(key, (n,), minval=0.05, maxval=0.4)  # noqa: E731
        loss_fn = objectives.flow_matching(velocity, flow.schedule, times=times, coupling=coupling)
        of = jax.grad(lambda along, key, x_0: loss_fn(along, key, x_0)[0])
        points = flow.mixture.sample(jax.random.key(1), 60 * 64).reshape(60, 64, 2)
        each = lambda inputs: of(jnp.zeros(2), *inputs)  # noqa: E731
        found = np.asarray(
            jax.jit(partial(jax.lax.map, each))((jax.random.split(jax.random.key(0), len(points)), points))
        )
        return np.abs(found.mean(0)) / (found.std(0) / len(points) ** 0.5)

    assert scores(couplings.independent).max() < 4
    assert scores(judges.transported(flow, couplings.assignment)).max() > 8


def test_errors_of_a_velocity_that_is_off_by_a_fifth():
    """1.2 u has relative error .2 at every time and overall; u itself none. Mutation: no square root; sigma for both scales."""
    flow = exact_flows.preserving(exact_flows.moons(noise=0.2, points=8))
    field = exact_flows.field(flow)

    def off(factor, key, x_t, t, cond):
        return factor * field(key, x_t, t)

    key_off, key_exact, key_overall = jax.random.split(jax.random.key(0), 3)
    found = judges.errors(flow, off, jnp.asarray(1.2), key_off, n=100, times=(0.01, 0.3))
    np.testing.assert_allclose(found.relative(), [0.2, 0.2], rtol=1e-3)
    assert judges.errors(flow, off, jnp.asarray(1.0), key_exact, n=100, times=(0.01,)).relative().max() < 1e-6
    assert judges.overall(flow, off, jnp.asarray(1.2), key_overall, n=50, cells=4) == pytest.approx(0.2, rel=1e-3)


def test_the_clock_and_its_law():
    """The clock runs from 0 to 1; the law is that of u^4 on it. Mutation: `log` for `log1p`."""
    np.testing.assert_allclose(judges.clock(jnp.array([0.0, 1.0])), [0, 1], atol=1e-6)
    t = judges.law(jax.random.key(0), 4000)
    assert float(t.min()) > 0 and float(t.max()) < 1
    assert float(jnp.mean(judges.clock(t) < 0.0625)) == pytest.approx(0.5, abs=0.001)


def test_transport_widens_the_path_and_independent_pairs_do_not():
    """Within 4 standard errors of 1 at every time; half as much again at the widest. Mutation: the sign of rho."""
    flow = exact_flows.preserving(exact_flows.moons(noise=0.2, points=8))
    key_independent, key_coupled = jax.random.split(jax.random.key(0))
    alone = judges.spread(flow, couplings.independent, key_independent, batch=64)
    np.testing.assert_allclose(alone, np.ones(len(judges.TIMES)), atol=4 / (64 * 16) ** 0.5)
    coupled = judges.spread(flow, judges.transported(flow, couplings.assignment), key_coupled, batch=64)
    assert coupled.max() > 1.5


def test_training_comes_nearer_to_the_pfode():
    """600 steps on two clusters leave less than a third of the error. Mutation: the weight inverted."""
    law = GaussianMixture(np.array([0.4, 0.6]), np.array([[1.5, 0.0], [-1.0, 0.3]]), np.stack([0.1 * np.eye(2)] * 2))
    flow = exact_flows.preserving(law)
    network, velocity = judges.learned(flow, 32)
    key_init, key_train, key_before, key_after = jax.random.split(jax.random.key(0), 4)
    how = {"steps": 600, "batch": 256, "width": 32, "learning_rate": 1e-2}
    params = judges.trained(flow, couplings.independent, key_train, **how)
    before = judges.overall(flow, velocity, network.init(key_init), key_before, n=200, cells=8)
    assert judges.overall(flow, velocity, params, key_after, n=200, cells=8) < before / 3


@pytest.mark.exhaustive
def test_the_study_writes_all_that_it_promises(tmp_path, capsys, monkeypatch):
    """Both flows and both couplings in both tables; a target that is missed is told, with exit code 1. Nothing is trained."""
    untrained = lambda flow, coupling, key, *, width, **how: judges.learned(flow, width)[0].init(key)  # noqa: E731
    monkeypatch.setattr(judges, "trained", untrained)
    monkeypatch.setattr(exact_flows, "moons", partial(exact_flows.moons, points=2))
    config = anisotropic_flow.Config(out=tmp_path / "out", coupled=16, width=8, n=100, flow_steps=2)
    with pytest.raises(SystemExit, match="relative error of independent pairs is"):
        anisotropic_flow.run(config)
    printed = capsys.readouterr().out
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    for flow in ("preserving", "reducing"):
        assert set(summary["flows"][flow]) == {"independent", "sinkhorn"}
        for name, of in summary["flows"][flow].items():
            assert printed.count(f"| {flow}, {name} ") == 2 and f"{of['overall']:.3f}" in printed
    assert "MISSED" in printed
    assert {"velocities.png", "report.html"} <= {path.name for path in (tmp_path / "out").iterdir()}
