"""Steps along the probability-flow ODE by their orders on a Gaussian, whose flow is known; grids."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ddjax import denoisers, flows, mixtures, samplers, schedules, times

KINDS = ("uniform", "quadratic", "cosine", "shifted", "karras")
ORDERS = {"euler": 1, "midpoint": 2, "heun": 2, "rk4": 4}
# not Rectified: where v of `exact_flow` is quadratic in t, the leading error of the midpoint rule vanishes
CURVED = (schedules.Cosine(), schedules.VariancePreserving(0.1, 8.0))
X_1 = np.array([[1.3, -0.4, 2.2], [-0.7, 1.9, 0.3]])


def gaussian():
    """One tilted Gaussian off the origin, in the precision of the test."""
    factor = np.array([[0.8, 0.0, 0.0], [0.3, 0.4, 0.0], [-0.2, 0.1, 1.3]])
    return mixtures.GaussianMixture(np.ones(1), np.array([[1.5, -0.5, 0.3]]), (factor @ factor.T)[None])


def exact_flow(mixture, schedule, x_t, t, s):
    """x_s - alpha_s mu = U diag(sqrt(v_s / v_t)) U^T (x_t - alpha_t mu), v = alpha^2 l + sigma^2."""
    mu, basis, variances = (np.asarray(leaf[0]) for leaf in (mixture.means, mixture.basis, mixture.variances))
    (alpha_t, sigma_t), (alpha_s, sigma_s) = (map(float, schedule(u)) for u in (t, s))
    ratio = np.sqrt((alpha_s**2 * variances + sigma_s**2) / (alpha_t**2 * variances + sigma_t**2))
    return alpha_s * mu + (x_t - alpha_t * mu) @ basis * ratio @ basis.T


def walk(step, x, grid):
    """The sampler as a loop over one compiled step, so that every number of steps shares it."""
    step = jax.jit(step)
    for i, (t, s) in enumerate(itertools.pairwise(grid)):
        x = step(jax.random.key(i), x, t, s)
    return np.asarray(x)


def slopes(errors):
    """Observed orders between neighbours in a sequence of errors at doubled numbers of steps."""
    return np.log2(np.array(errors[:-1]) / np.array(errors[1:]))


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("schedule", CURVED, ids=lambda schedule: type(schedule).__name__)
def test_order_on_a_gaussian_down_to_the_data(x64, name, schedule):
    """Slope 1, 2, 2, 4, the step to s = 0 included.

    Fails for a wrong coefficient, a slope taken at the wrong time, or a last step of too low an order (Euler
    in rk4).
    """
    mixture = gaussian()
    denoise = denoisers.bind(mixtures.mean_oracle(mixture, schedule), None)
    step = getattr(samplers, name)(denoise, schedule)
    exact = exact_flow(mixture, schedule, X_1, 1.0, 0.0)
    errors = [np.abs(walk(step, jnp.asarray(X_1), times.grid(n)) - exact).max() for n in (32, 64)]
    np.testing.assert_allclose(slopes(errors)[-1], ORDERS[name], atol=0.25)


@pytest.mark.parametrize("name", ["heun", "rk4"])
def test_the_grid_by_schedule_restores_the_order_on_ornstein_uhlenbeck(x64, name):
    """sigma grows like sqrt(t): slope 2 and 4 on the matched grid, and clearly less on equal steps, which do not keep it.

    Fails for a matched grid that is uniform there.
    """
    mixture, schedule = gaussian(), schedules.OrnsteinUhlenbeck(10.0)
    step = jax.jit(getattr(samplers, name)(denoisers.bind(mixtures.mean_oracle(mixture, schedule), None), schedule))
    exact = exact_flow(mixture, schedule, X_1, 1.0, 0.0)
    found = {}
    for kind, grid in (("matched", partial(times.matched, schedule)), ("uniform", times.grid)):
        errors = [np.abs(walk(step, jnp.asarray(X_1), grid(n)) - exact).max() for n in (32, 64)]
        found[kind] = slopes(errors)[-1]
    np.testing.assert_allclose(found["matched"], ORDERS[name], atol=0.15)
    assert found["uniform"] < ORDERS[name] - 0.2


@pytest.mark.parametrize(
    ("kernel", "order"),
    [(flows.euler, 1), (flows.midpoint, 2), (flows.heun, 2), (flows.kutta3, 3), (flows.rk4, 4)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_order_on_a_field_of_space_and_time(x64, kernel, order):
    """dx/dt = 2 t x^2 from x(1) = 1/2 has x = 1 / (3 - t^2): slope p, stages at t = 0 included."""
    step = kernel(lambda key, x, t: 2 * t[:, None] * x**2)
    start, exact = jnp.full((1, 1), 0.5), 1 / 3
    errors = [np.abs(walk(step, start, times.grid(n)) - exact).max() for n in (16, 32)]
    np.testing.assert_allclose(slopes(errors)[-1], order, atol=0.25)


def test_one_step_of_each_kernel_by_hand(x64):
    """dx/dt = c(t) with c = t^3 - t: one step from 1 to 0 is minus the quadrature behind each method."""
    c = lambda t: t**3 - t  # noqa: E731
    expected = {
        "euler": c(1.0),
        "midpoint": c(0.5),
        "heun": (c(1.0) + c(0.0)) / 2,
        "kutta3": c(1.0) / 4 + 3 * c(1 / 3) / 4,
        "rk4": (c(1.0) + 4 * c(0.5) + c(0.0)) / 6,
    }
    for name, quadrature in expected.items():
        step = getattr(flows, name)(lambda key, x, t: jnp.broadcast_to(c(t)[:, None], x.shape))
        np.testing.assert_allclose(step(jax.random.key(0), jnp.zeros((2, 3)), 1.0, 0.0), -quadrature, rtol=1e-12)


def test_calls_of_the_denoiser():
    """1, 2, 2 and 4 calls, and in the step to s = 0: 1, 2, 1 and 3, none of them at t = 0."""
    expected = {"euler": (1, 1), "midpoint": (2, 2), "heun": (2, 1), "rk4": (4, 3)}
    for name, counts in expected.items():
        seen = []

        def denoise(key, x_t, t, seen=seen):
            jax.debug.callback(lambda t: seen.append(float(t)), t[0])
            return x_t

        step = jax.jit(getattr(samplers, name)(denoise, schedules.Rectified()))
        for s, count in zip((0.25, 0.0), counts, strict=True):
            step(jax.random.key(0), jnp.ones((1, 2)), 0.5, s)
            jax.effects_barrier()
            assert len(seen) == count
            assert min(seen) > 0
            seen.clear()


def test_each_stage_has_a_key_of_its_own():
    """A field of pure noise: four stages with one key would give the standard deviation of one."""
    step = flows.rk4(lambda key, x, t: jax.random.normal(key, x.shape))
    moved = np.asarray(jax.jit(step)(jax.random.key(0), jnp.zeros((4000, 1)), 1.0, 0.0))
    expected = np.sqrt(1 + 4 + 4 + 1) / 6
    assert abs(moved.std() / expected - 1) < 4 / np.sqrt(2 * 4000)


@pytest.mark.parametrize("kind", KINDS)
def test_one_step_is_a_grid_and_every_sampler_walks_it(kind):
    """[1, 0] for every kind; Euler and Heun then return the predicted x_0, and nothing is 0/0."""
    grid = times.grid(1, kind)
    np.testing.assert_array_equal(grid, [1.0, 0.0])
    denoise = lambda key, x_t, t: jnp.full_like(x_t, 2.5)  # noqa: E731
    for name in ORDERS:
        step = getattr(samplers, name)(denoise, schedules.Rectified())
        x_0 = samplers.sample(step, jax.random.key(0), jnp.asarray(X_1, jnp.float32), grid)
        np.testing.assert_allclose(x_0, 2.5, rtol=1e-6)  # the flow to a point is straight: exact in one step


def test_the_last_step_is_finite_for_every_schedule(schedule):
    """Fails where a stage stands at s = 0."""
    denoise = lambda key, x_t, t: 0.5 * x_t  # noqa: E731
    steps = [getattr(samplers, name)(denoise, schedule) for name in ORDERS]
    found = jax.jit(lambda s: [step(jax.random.key(0), jnp.ones((1, 2)), 0.5, s) for step in steps])(0.0)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("n", [2, 8, 101])
def test_shifted_and_karras_grids_are_uniform_once_unwarped(x64, n):
    """Fails for the inverse shift, a warp in the wrong direction, or a last time that is not `last`."""
    u = 1 - np.arange(n + 1) / n
    grid = np.asarray(times.shifted(n, shift=4.0))
    assert (grid[0], grid[-1]) == (1.0, 0.0)
    inner = grid[1:-1]
    np.testing.assert_allclose(inner / (1 - inner), 4 * (u / (1 - u + (u == 1)))[1:-1], rtol=1e-12)  # odds
    grid = np.asarray(times.karras(n, rho=3.0, last=0.01))
    assert (grid[0], grid[-1]) == (1.0, 0.0)
    np.testing.assert_allclose(np.cbrt(grid[:-1]), np.linspace(1, np.cbrt(0.01), n), rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_grids_are_strictly_decreasing_in_float32(kind):
    grid = np.asarray(times.grid(1000, kind))
    assert grid.dtype == np.float32
    assert (np.diff(grid) < 0).all()
    assert (grid[0], grid[-1]) == (1.0, 0.0)


def test_a_shift_of_one_is_uniform_and_more_is_finer_near_noise():
    np.testing.assert_allclose(times.shifted(9, shift=1.0), times.grid(9), rtol=1e-6)
    assert np.asarray(times.grid(9, "shifted"))[1] > np.asarray(times.grid(9))[1]


@pytest.mark.parametrize(
    "make",
    [
        lambda: times.shifted(0),
        lambda: times.shifted(4, shift=0.0),
        lambda: times.karras(0),
        lambda: times.karras(4, rho=-1.0),
        lambda: times.karras(4, last=0.0),
        lambda: times.karras(4, last=1.0),
    ],
)
def test_impossible_grids_are_refused(make):
    with pytest.raises(ValueError, match="got "):
        make()
