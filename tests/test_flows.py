"""Velocities of every kind, adaptive solves and likelihoods against mixtures, whose flow is known; paths."""

import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddjax import denoisers, flows, mixtures, schedules, times
from ddjax.types import Network

RECTIFIED = schedules.Rectified()


def field_of(mixture, schedule):
    """The exact field of a mixture, finite at both ends."""
    return lambda key, x, t: jax.vmap(lambda x, t: mixture.velocity(schedule, x, t))(x, t)


def tilted_pair():
    """Two unequal, tilted Gaussians in the plane."""
    covs = np.array([[[0.3, 0.1], [0.1, 0.2]], [[0.1, -0.05], [-0.05, 0.4]]])
    return mixtures.GaussianMixture(np.array([0.7, 0.3]), np.array([[1.0, 0.0], [-1.0, 0.5]]), covs)


def test_a_network_of_any_kind_has_the_velocity_of_the_flow(x64, skewed, schedule):
    """The exact conditional expectation of each kind is the same flow. Fails for a kind read as another."""

    def expectation(kind, x_t, t):
        (alpha, sigma), (alpha_rate, sigma_rate) = schedules.with_rates(schedule, t)
        x_0, noise = skewed.posterior(schedule, x_t, t).mean(), -sigma * skewed.score(schedule, x_t, t)
        values = {"x0": x_0, "noise": noise, "v": alpha * noise - sigma * x_0, "score": -noise / sigma}
        return (values | {"velocity": alpha_rate * x_0 + sigma_rate * noise})[kind]

    @jax.jit
    def every_kind(x_t, t):
        found = {}
        for kind in ("x0", "noise", "v", "velocity", "score"):
            apply = lambda params, x_t, t, cond, xi, kind=kind: jax.vmap(partial(expectation, kind))(x_t, t)  # noqa: E731
            velocity = flows.network_velocity(Network(lambda key: None, apply), schedule, predicts=kind)
            found[kind] = velocity(None, jax.random.key(0), x_t, t)
        return found

    x_t, t = jnp.array([[0.3, -1.2, 2.0], [1.5, 0.2, -0.7]]), jnp.array([0.2, 0.8])
    expected = field_of(skewed, schedule)(None, x_t, t)
    for found in every_kind(x_t, t).values():
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_a_denoiser_has_the_velocity_of_the_flow(x64, skewed):
    """With each example at a time of its own. Fails where one time serves the whole batch."""
    schedule = schedules.Cosine()
    denoise = denoisers.bind(mixtures.mean_oracle(skewed, schedule), None)
    x_t, t = jnp.array([[0.3, -1.2, 2.0], [1.5, 0.2, -0.7]]), jnp.array([0.2, 0.8])
    found = jax.jit(flows.velocity(denoise, schedule))(jax.random.key(0), x_t, t)
    np.testing.assert_allclose(found, field_of(skewed, schedule)(None, x_t, t), rtol=1e-9, atol=1e-9)


def test_an_adaptive_solve_runs_both_ways_with_steps_for_each_example():
    """Fails for exchanged ends, a solver that stops early, or one step size for the whole batch."""
    x_1 = jax.random.normal(jax.random.key(1), (50, 2))
    field = field_of(tilted_pair(), RECTIFIED)
    along = jax.jit(
        lambda x, start: flows.integrate(field, jax.random.key(0), x, start=start, end=1 - start, tolerance=1e-6)
    )
    data = along(x_1, 1.0)
    back = along(data.x, 0.0)
    assert data.converged.all()
    assert back.converged.all()
    np.testing.assert_allclose(back.x, x_1, atol=3e-5)
    assert len(np.unique(data.steps)) > 1
    mean, std = tilted_pair().mean(), jnp.sqrt(jnp.diag(tilted_pair().cov()))
    assert (jnp.abs(data.x.mean(0) - mean) < 4 * std / np.sqrt(50)).all()


def test_a_flow_of_one_gaussian_is_known_in_closed_form(x64):
    """x_0 = mu + sqrt(l) x_1 for the rectified flow of N(mu, l). Fails where the tolerance is lost."""
    mixture = mixtures.GaussianMixture(np.ones(1), np.array([[2.0]]), np.array([[[0.09]]]))
    x_1 = jnp.linspace(-3, 3, 7)[:, None]
    solution = flows.integrate(field_of(mixture, RECTIFIED), jax.random.key(0), x_1, tolerance=1e-9)
    np.testing.assert_allclose(solution.x, 2 + 0.3 * x_1, atol=3e-8)


def test_one_key_serves_a_whole_trajectory_and_each_example_has_its_own():
    """dx/dt = xi, a straight line. Fails for a key per call, or one key for the batch."""
    field = lambda key, x, t: jax.random.normal(key, x.shape)  # noqa: E731
    solution = jax.jit(lambda x: flows.integrate(field, jax.random.key(0), x))(jnp.zeros((3, 1)))
    assert solution.converged.all()
    assert (solution.steps < 10).all()
    assert len(np.unique(solution.x)) == 3


def test_a_solve_that_fails_says_so():
    """Fails where steps run out, or the field is not finite, without a word. Under jit there is the flag."""
    x = jnp.array([[0.5], [1.5], [3.0]])

    def field(key, x, t):
        return jnp.select([x < 1, x < 2], [jnp.zeros_like(x), -1e3 * jnp.sin(50 * x)], jnp.nan)

    solve = lambda x: flows.integrate(field, jax.random.key(0), x, max_steps=8)  # noqa: E731
    with pytest.warns(UserWarning, match="2 of 3 trajectories did not converge"):
        np.testing.assert_array_equal(solve(x).converged, [True, False, False])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(jax.jit(solve)(x).converged, [True, False, False])


def test_log_density_of_a_mixture(skewed):
    """Within .02 nats at every point. Fails for the opposite sign of the divergence."""
    x_0 = skewed.sample(jax.random.key(0), 64)
    field = field_of(skewed, RECTIFIED)
    found = jax.jit(lambda x_0: flows.log_density(field, RECTIFIED, jax.random.key(1), x_0))(x_0)
    assert found.converged.all()
    np.testing.assert_allclose(found.log_prob, jax.vmap(skewed.log_prob)(x_0), atol=0.02)


def test_log_density_integrates_to_one():
    """For a field that belongs to no mixture. Fails for a divergence that is not the trace, or a lost sign."""
    mix, bend = jnp.array([[0.9, -0.6], [0.3, 0.5]]), jnp.array([[1.1, 0.4], [-0.7, 0.8]])
    field = lambda key, x, t: jnp.tanh(x @ bend + t[:, None]) @ mix + 0.5 * x  # noqa: E731
    line = np.linspace(-8, 8, 65)
    grid = jnp.asarray(np.stack(np.meshgrid(line, line), -1).reshape(-1, 2), jnp.float32)
    found = jax.jit(lambda x: flows.log_density(field, RECTIFIED, jax.random.key(0), x, tolerance=1e-4))(grid)
    mass = np.exp(np.asarray(found.log_prob, np.float64)).sum() * (line[1] - line[0]) ** 2
    assert abs(mass - 1) < 2e-3


def test_divergences_are_traces():
    """Hutchinson's is unbiased over keys, and exact for a diagonal Jacobian, where signs square to 1."""
    matrix = jnp.array([[0.5, 2.0, -1.0], [0.3, -1.2, 0.8], [1.5, 0.1, 0.9]])
    u = lambda x: matrix @ x + 0.1 * jnp.sum(x**2)  # noqa: E731
    x = jnp.array([0.3, -0.8, 1.1])
    trace = float(jnp.trace(matrix) + 0.2 * jnp.sum(x))
    value, exact = flows.exact_divergence(u, jax.random.key(0), x)
    np.testing.assert_allclose(value, u(x), rtol=1e-6)
    np.testing.assert_allclose(exact, trace, rtol=1e-5)
    keys = jax.random.split(jax.random.key(1), 4000)
    value, estimates = jax.vmap(lambda key: flows.hutchinson(2)(u, key, x))(keys)
    np.testing.assert_allclose(value[0], u(x), rtol=1e-6)
    assert abs(estimates.mean() - trace) < 4 * estimates.std() / np.sqrt(4000)
    assert estimates.std() > 0.5
    diagonal = lambda x: jnp.array([1.0, -2.0, 0.5]) * x  # noqa: E731
    np.testing.assert_allclose(flows.hutchinson()(diagonal, jax.random.key(2), x)[1], -0.5, rtol=1e-6)


def test_many_directions_are_as_good_as_few():
    """Six coordinates and six probes, which are taken together. Mutation: the first few alone."""
    scales = jnp.arange(1.0, 7.0)
    bend = lambda x: scales * x + jnp.roll(x, 1) ** 2  # noqa: E731
    x = jnp.linspace(-1.0, 1.0, 6)
    np.testing.assert_allclose(flows.exact_divergence(bend, jax.random.key(0), x)[1], 21, rtol=1e-6)
    np.testing.assert_allclose(flows.hutchinson(6)(lambda x: scales * x, jax.random.key(1), x)[1], 21, rtol=1e-6)


def test_hutchinson_log_density_of_a_linear_flow():
    """dx/dt = A x has x_1 = e^A x_0 and log p_0 = log N(x_1; 0, sigma^2) + tr A; with signs e, off by e^T A e - tr A.

    Fails for signs that change along a trajectory, one set of signs for the batch, or a prior of std 1 where it is 2.
    """
    matrix = jnp.array([[0.5, 0.4], [0.1, -0.3]])
    schedule = schedules.VarianceExploding(0.01, 2.0)
    x_0 = jax.random.normal(jax.random.key(0), (200, 2))
    found = flows.log_density(
        lambda key, x, t: x @ matrix.T, schedule, jax.random.key(1), x_0, divergence=flows.hutchinson()
    )
    x_1 = x_0 @ jax.scipy.linalg.expm(matrix).T
    np.testing.assert_allclose(found.x_1, x_1, atol=1e-4)
    error = np.asarray(found.log_prob - jax.scipy.stats.norm.logpdf(x_1, scale=2.0).sum(-1) - jnp.trace(matrix))
    np.testing.assert_allclose(np.abs(error), 0.5, atol=1e-3)  # the sign of e_1 e_2, times .4 + .1
    assert 60 < (error > 0).sum() < 140


def test_straight_lines_are_straight_on_any_grid():
    """Fails where steps of unequal length count alike."""
    ends = jnp.array([[[1.0, -2.0]], [[4.0, 0.5]]])
    grid = times.grid(7, "karras")
    t = grid[:, None, None]
    path = t * ends[:1] + (1 - t) * ends[1:]
    np.testing.assert_allclose(flows.straightness(path, grid), 0, atol=1e-6)
    np.testing.assert_allclose(flows.path_length(path), np.linalg.norm(ends[1] - ends[0], axis=-1), rtol=1e-6)


def test_bent_and_uneven_paths_by_their_integrals():
    """x = t^2 has int (2 t - 1)^2 dt = 1/3 and length 1; a half circle has pi^2 - 4 and length pi."""
    grid = np.sin(np.linspace(np.pi / 2, 0, 2001)) ** 2  # steps of unequal length
    uneven = np.broadcast_to(grid[:, None, None] ** 2, (2001, 1, 1))
    circle = np.stack([np.cos(np.pi * grid), np.sin(np.pi * grid)], -1)[:, None]
    with jax.enable_x64(True):
        np.testing.assert_allclose(flows.straightness(uneven, grid), 1 / 3, rtol=1e-5)
        np.testing.assert_allclose(flows.path_length(uneven), 1, rtol=1e-5)
        np.testing.assert_allclose(flows.straightness(circle, grid), np.pi**2 - 4, rtol=1e-5)
        np.testing.assert_allclose(flows.path_length(circle), np.pi, rtol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: flows.integrate(lambda key, x, t: x, jax.random.key(0), jnp.ones((1, 1)), tolerance=0.0),
        lambda: flows.integrate(lambda key, x, t: x, jax.random.key(0), jnp.ones((1, 1)), max_steps=0),
        lambda: flows.hutchinson(0),
        lambda: flows.straightness(jnp.ones((4, 2, 2)), jnp.ones(3)),
        lambda: flows.path_length(jnp.ones((1, 2, 2))),
    ],
)
def test_impossible_requests_are_refused(unchecked, make):
    with pytest.raises(ValueError, match="got "):
        make()
