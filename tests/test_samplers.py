"""Samplers with the exact posterior (exact at every number of steps), and on a flow with a known solution."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from numpy.testing import assert_allclose as close
from numpy.testing import assert_array_equal as same
from scipy import stats

from ddjax import denoisers, metrics, mixtures, paths, samplers, schedules, times
from ddjax.mixtures import GaussianMixture

RECTIFIED, COSINE = schedules.Rectified(), schedules.Cosine()
N = 2000


@functools.cache
def floor_of(mixture):
    sample = jax.jit(mixture.sample, static_argnums=1)
    return metrics.floor(metrics.mmd, sample, jax.random.key(10), n=N, repeats=20)


@pytest.fixture(scope="module")
def target():
    """One mixture object for the whole file, with the skewed parameters."""
    from conftest import SKEWED

    return GaussianMixture(**SKEWED)


def draw_with(oracle, mixture, schedule, steps):
    """(key, churn) -> N samples after so many steps of Algorithm 2."""
    denoise = denoisers.bind(oracle(mixture, schedule), None)

    @jax.jit
    def draw(key, churn):
        key_1, key = jax.random.split(key)
        step = samplers.bridge(denoise, schedule, churn=churn)
        return samplers.sample(step, key, paths.prior(schedule, key_1, (N, 3)), times.grid(steps))

    return draw


@pytest.mark.parametrize(("schedule", "steps"), [(RECTIFIED, 1), (RECTIFIED, 3), (RECTIFIED, 8), (COSINE, 3)])
def test_the_exact_posterior_gives_the_data_at_every_number_of_steps(target, schedule, steps):
    """MMD^2 within 4 floor stds for churn 0, .5, 1.

    Fails for every wrong bridge, and for xi and z from one key.
    """
    floor, draw = floor_of(target), draw_with(mixtures.oracle, target, schedule, steps)
    truth = target.sample(jax.random.key(11), N)
    for churn in (0.0, 0.5, 1.0):
        distance = metrics.mmd(draw(jax.random.key(12), jnp.float32(churn)), truth)
        assert abs(distance - floor.mean) < 4 * floor.std


def test_the_exact_mean_does_not(target):
    """A perfect classical denoiser is far off at 1 step and nearer at 8: the test above has power."""
    floor, truth = floor_of(target), target.sample(jax.random.key(13), N)
    far, near = (
        float(metrics.mmd(draw_with(mixtures.mean_oracle, target, RECTIFIED, n)(jax.random.key(14), 0.0), truth))
        for n in (1, 8)
    )
    assert far > floor.mean + 100 * floor.std
    assert floor.mean + 4 * floor.std < near < far / 10


GAUSSIAN = np.ones(1), np.array([[1.5, -0.4]]), np.array([[[0.5, 0.2], [0.2, 0.3]]])


@pytest.mark.parametrize("schedule", [RECTIFIED, COSINE], ids=["Rectified", "Cosine"])
@pytest.mark.parametrize(("solver", "order"), [(samplers.euler, 1), (samplers.heun, 2)])
def test_order_of_convergence(x64, solver, order, schedule):
    """Halving the steps divides the error by 2^order on Gaussian data, whose flow keeps x_t's quantiles.

    Fails when a stage uses the wrong time, or when Heun's last step asks for the velocity at 0, 0/0.
    """
    data = GaussianMixture(*GAUSSIAN)
    step = solver(denoisers.bind(mixtures.mean_oracle(data, schedule), None), schedule)
    x_1 = jnp.array([[0.3, -1.2], [1.5, 0.8]])
    # alpha(1) = 0: x_0 = mean + S^(1/2) x_1 with the symmetric root
    exact = data.means + (x_1 @ data.basis[0]) * jnp.sqrt(data.variances) @ data.basis[0].T
    run = jax.jit(lambda grid: samplers.sample(step, jax.random.key(0), x_1, grid))
    errors = [float(jnp.abs(run(times.grid(n)) - exact).max()) for n in (32, 64, 128)]
    close(np.log2(errors[0] / errors[1]), order, atol=0.2)
    close(np.log2(errors[1] / errors[2]), order, atol=0.1)


def mean_denoise(schedule=RECTIFIED):
    return denoisers.bind(mixtures.mean_oracle(GaussianMixture(*GAUSSIAN), schedule), None)


X_1 = jnp.array([[0.3, -1.2], [1.5, 0.8], [-0.7, 2.0]])


def test_churn_0_is_deterministic_and_on_straight_paths_it_is_euler():
    """DDIM on the rectified schedule is Euler's method exactly; churn 1 depends on the key."""
    run = lambda step, seed: samplers.sample(step, jax.random.key(seed), X_1, times.grid(5))  # noqa: E731
    ddim = samplers.bridge(mean_denoise(), RECTIFIED, churn=0.0)
    same(run(ddim, 0), run(ddim, 1))
    close(run(ddim, 0), run(samplers.euler(mean_denoise(), RECTIFIED), 2), atol=2e-6)
    ddpm = samplers.bridge(mean_denoise(), RECTIFIED, churn=1.0)
    inner = times.grid(5)[:-1]  # the last step has no noise
    noisy = [samplers.sample(ddpm, jax.random.key(seed), X_1, inner) for seed in range(2)]
    assert (jnp.abs(noisy[0] - noisy[1]) > 1e-4).all()


def test_a_path_is_the_steps_one_by_one():
    """x_1 first, then each step at its own two times with its own key; its end is `sample`."""
    step, grid = samplers.bridge(mean_denoise(COSINE), COSINE), times.grid(3, "cosine")
    path = samplers.sample_path(step, jax.random.key(1), X_1, grid)
    same(path[0], X_1)
    same(path[-1], samplers.sample(step, jax.random.key(1), X_1, grid))
    for i, key in enumerate(jax.random.split(jax.random.key(1), 3)):
        close(path[i + 1], step(key, path[i], grid[i], grid[i + 1]), atol=1e-6)


def test_xi_and_z_are_independent():
    """x_s = c_0 xi + std z from x_t = 0 has variance c_0^2 + std^2; one key for both gives (c_0 + std)^2."""
    n, t, s, churn = 40000, 0.8, 0.4, 0.7
    step = samplers.bridge(lambda key, x_t, t: jax.random.normal(key, x_t.shape), RECTIFIED, churn=churn)
    x_s = np.asarray(step(jax.random.key(2), jnp.zeros((n, 1)), t, s), np.float64)
    c_0, std = paths.bridge(RECTIFIED, jnp.ones(1), jnp.zeros(1), t, s, churn=churn)
    variance = float(c_0[0] ** 2 + std**2)
    assert 2 * c_0[0] * std > 0.2 * variance
    assert abs(x_s.var() / variance - 1) < 4 * np.sqrt(2 / n)


def gaussian_draw(key, n):
    """Normal draws that need 256 times their size to be made."""
    return jax.random.normal(key, (n, 256)).sum(1, keepdims=True) / 16


def labelled_draw(key, n, *conds):
    """Draws around their conditions."""
    return gaussian_draw(key, n) + 100.0 * sum((cond[:, None] for cond in conds), jnp.zeros((n, 1), int)).astype(float)


@pytest.mark.parametrize("conds", [(), (jnp.arange(23) % 5,), (jnp.arange(23) % 5, jnp.arange(23) % 3)])
def test_a_chunk_changes_no_draw(conds):
    """23 draws in chunks of every size are those in one, to the rounding of sums; each has its own condition, and the first
    of more draws are those of fewer.

    Mutations: a key for each chunk; conditions counted anew in each; keys split from one for all n.
    """
    key = jax.random.key(4)
    whole = samplers.in_chunks(labelled_draw, key, 23, *conds, chunk=100)
    assert (np.round(whole[:, 0] / 100).astype(int) == sum(conds, jnp.zeros(23, int))).all()
    for chunk in (1, 2, 5, 22, 23):
        close(samplers.in_chunks(labelled_draw, key, 23, *conds, chunk=chunk), whole, rtol=1e-5, atol=1e-5)
    few = samplers.in_chunks(labelled_draw, key, 7, *(cond[:7] for cond in conds), chunk=3)
    close(few, whole[:7], rtol=1e-5, atol=1e-5)


def test_chunks_are_fresh_draws_of_the_law():
    """n that chunks do not divide, and the least of both; fails for one key in all chunks or a chunk left out."""
    for n, chunk in ((1001, 100), (7, 100), (300, 1), (1, 1)):
        draws = np.asarray(samplers.in_chunks(gaussian_draw, jax.random.key(4), n, chunk=chunk))
        assert draws.shape == (n, 1)
        assert len(np.unique(draws)) > 0.99 * n
        assert stats.kstest(draws[:, 0], "norm").pvalue > 1e-3


def test_memory_is_that_of_one_chunk():
    """Twenty times the draws need no more room but for the result; fails for vmap over the chunks."""

    def temporary(n):
        draw = jax.jit(lambda key: samplers.in_chunks(gaussian_draw, key, n, chunk=500))
        return draw.lower(jax.random.key(0)).compile().memory_analysis().temp_size_in_bytes

    assert temporary(40000) < temporary(2000) + 2 * 40000 * 4


STEP = lambda key, x_t, t, s: x_t  # noqa: E731


@pytest.mark.parametrize("grid", [[0.0, 1.0], [1.0, 0.5, 0.5, 0.0], [1.0], [[1.0, 0.0]], [1.0, float("nan"), 0.0]])
def test_grids_that_do_not_decrease_are_refused(unchecked, grid):
    with pytest.raises(ValueError, match="a grid"):
        samplers.sample(STEP, jax.random.key(0), X_1, np.array(grid))


@pytest.mark.parametrize(
    "make",
    [
        lambda: samplers.bridge(mean_denoise(), RECTIFIED, churn=1.5),
        lambda: samplers.bridge(mean_denoise(), RECTIFIED, churn=-0.5),
        lambda: samplers.in_chunks(gaussian_draw, jax.random.key(0), 0, chunk=5),
        lambda: samplers.in_chunks(gaussian_draw, jax.random.key(0), 5, chunk=0),
        lambda: samplers.in_chunks(labelled_draw, jax.random.key(0), 5, jnp.arange(4), chunk=2),
    ],
)
def test_impossible_settings_are_refused(make):
    with pytest.raises(ValueError, match="got "):
        make()


@pytest.mark.parametrize("walk", [samplers.sample, samplers.sample_path, samplers.sample_until])
def test_a_number_of_steps_is_the_uniform_grid(unchecked, walk):
    """Steps at t = 1, .75, .5, .25, bit for bit. Mutation: a grid of n times instead of n steps."""
    step = Partial(lambda key, x_t, t, s: x_t + t)
    by_number = walk(step, jax.random.key(0), X_1, 4)
    same(by_number, walk(step, jax.random.key(0), X_1, times.grid(4)))
    close(by_number if by_number.ndim == X_1.ndim else by_number[-1], X_1 + 2.5, rtol=1e-6)
    same(by_number, walk(step, jax.random.key(0), X_1, np.int64(4)))
    for wrong in (0, 2.0, True, "four"):
        with pytest.raises(ValueError, match="need a whole number, at least 1"):
            walk(step, jax.random.key(0), X_1, wrong)


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_a_grid_may_repeat_its_last_time(steps):
    """Bit for bit the samples of the grid itself, and one trace for all of them.

    Mutations: keys split for the padded grid in another order; a step more or less; a loop over the padding too.
    """
    traces = []

    def step(key, x_t, t, s):
        traces.append(t)
        return x_t * s + jax.random.normal(key, x_t.shape) * t

    grid, x_1 = times.grid(steps), jnp.ones((5, 2))
    until = jax.jit(lambda grid: samplers.sample_until(step, jax.random.key(4), x_1, grid))
    same(until(jnp.pad(grid, (0, 20 - steps), mode="edge")), samplers.sample(step, jax.random.key(4), x_1, grid))
    once = len(traces)
    until(jnp.pad(times.grid(5), (0, 15), mode="edge"))
    assert len(traces) == once


@pytest.mark.parametrize("times", [[0.0, 1.0], [1.0, 0.0, 0.5, 0.0], [1.0, 0.5, 0.5, 0.0], [1.0, 1.0], [1.0]])
def test_a_grid_that_repeats_anything_else_is_refused(times):
    """Mutation: no look at the grid, which would skip its steps without a word."""
    with pytest.raises(ValueError, match="grid"):
        samplers.sample_until(lambda key, x_t, t, s: x_t, jax.random.key(0), jnp.ones((2, 1)), jnp.array(times))
