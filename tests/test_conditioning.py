"""Conditioning by draws with the exact posterior, against the exact law given a measurement; particles; the plug-in of a mean."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from numpy.testing import assert_allclose as close
from numpy.testing import assert_array_equal as same

from ddjax import denoisers, metrics, mixtures, paths, samplers, schedules, times
from ddjax.mixtures import GaussianMixture

SCHEDULE = schedules.Rectified()
DATA = GaussianMixture(
    np.array([0.7, 0.3]),
    np.array([[-1.2, 0.5], [1.4, -0.4]]),
    np.array([[[0.3, 0.1], [0.1, 0.2]], [[0.25, 0.0], [0.0, 0.5]]]),
)
MATRIX, Y, R = jnp.array([[1.0, 0.0]]), jnp.array([1.1]), jnp.array([[0.64]])
GIVEN = DATA.given_linear(MATRIX, Y, R)
RIGHT = float(GIVEN.weights[1])
N = 4000


def log_likelihood(x_0, y=Y[0]):
    """Of y = first coordinate + N(0, .64), up to a constant."""
    return -((x_0[0] - y) ** 2) / (2 * R[0, 0])


DENOISE = denoisers.bind(mixtures.oracle(DATA, SCHEDULE), None)
MEAN = denoisers.bind(mixtures.mean_oracle(DATA, SCHEDULE), None)


def start(seed, n=N):
    return jax.random.normal(jax.random.key(seed), (n, 2))


def drawn(denoise, steps, seed=0, n=N, kernel=samplers.bridge):
    return samplers.sample(kernel(denoise, SCHEDULE), jax.random.key(seed), start(seed + 100, n), times.grid(steps))


def on_the_right(x):
    """How many of the samples belong to the second component, by its posterior probability, and the standard error."""
    p = np.asarray(jax.vmap(lambda x: jnp.exp(GIVEN.component_log_prob(x))[1])(x))
    return p.mean(), p.std() / np.sqrt(len(p))


@pytest.mark.parametrize("steps", [1, 3])
def test_enough_draws_sample_the_law_given_y(steps):
    """Within 4 floor standard deviations of the exact law, at every number of steps, where a mean's plug-in is far off.

    Mutations: weights at x_t in place of x_0; one draw kept uniformly; the square of the weights.
    """
    truth = GIVEN.sample(jax.random.key(1), N)
    floor = metrics.floor(metrics.mmd, GIVEN.sample, jax.random.key(2), n=N, repeats=10)
    exact = samplers.conditioned(DENOISE, log_likelihood, draws=256)
    assert abs(metrics.mmd(drawn(exact, steps), truth) - floor.mean) < 4 * floor.std
    plugged = samplers.plugged_in(MEAN, log_likelihood, SCHEDULE)
    assert metrics.mmd(drawn(plugged, steps), truth) > floor.mean + 40 * floor.std


def test_few_draws_are_biased_towards_the_prior():
    """The weight of the component that y favours is low with 4 draws, less so with 16: the error is of order 1 / M."""
    shares = [on_the_right(drawn(samplers.conditioned(DENOISE, log_likelihood, draws=m), 3))[0] for m in (1, 4, 16)]
    assert float(DATA.weights[1]) - 0.05 < shares[0] < shares[1] - 0.1 < shares[2]
    assert shares[2] < RIGHT
    assert RIGHT - shares[2] < (RIGHT - shares[1]) / 2


def test_a_flat_likelihood_is_the_plain_sampler_in_law():
    """And the effective size is the number of draws, exactly."""
    flat = samplers.conditioned(DENOISE, lambda x_0: jnp.float32(3.0), draws=5)
    floor = metrics.floor(metrics.mmd, DATA.sample, jax.random.key(2), n=N, repeats=10)
    assert abs(metrics.mmd(drawn(flat, 3), DATA.sample(jax.random.key(3), N)) - floor.mean) < 4 * floor.std
    x_t, t = start(4, 6), jnp.full(6, 0.7)
    close(samplers.effective_draws(DENOISE, lambda x_0: jnp.float32(-900.0), jax.random.key(0), x_t, t, draws=7), 7.0)


def test_the_effective_size():
    """(sum w)^2 / sum w^2 for each example; 0 where all are 0; NaN where one is not a number. Mutation: the other axis."""
    w = np.array([[1.0, 0.0, 0.0], [3.0, 2.0, 0.0], [0.5, 2.0, 0.0]])
    with np.errstate(divide="ignore"):
        log_w = jnp.asarray(np.log(w), jnp.float32) + 200.0  # whose exponential overflows
    close(samplers.effective_size(log_w), [4.5**2 / (1 + 9 + 0.25), 2.0, 0.0], rtol=1e-4)
    assert jnp.isnan(samplers.effective_size(log_w.at[0, 1].set(jnp.nan)))[1]


def test_draws_grow_until_they_suffice():
    """A set of probability about .02: one round of 16 often has no draw in it, and rounds go on until every example has.

    What is kept has the law of the data inside the set. Mutations: the last round's draw is kept; rounds stop at the first.
    """
    inside = lambda x_0: jnp.where((x_0[0] > 1.9) & (x_0[1] > 0.0), 0.0, -jnp.inf)  # noqa: E731
    one_round = drawn(samplers.conditioned(DENOISE, inside, draws=16, most=16), 1, n=500)
    assert jnp.isnan(one_round).any()
    x_0 = drawn(samplers.conditioned(DENOISE, inside, draws=16, most=16_000), 1, n=2000)
    assert (np.asarray(x_0) > np.array([1.9, 0.0])).all()
    many = np.asarray(DATA.sample(jax.random.key(5), 400_000))
    truth = many[(many[:, 0] > 1.9) & (many[:, 1] > 0)]
    error = truth.std(0) / np.sqrt(2000)
    assert (np.abs(np.asarray(x_0).mean(0) - truth.mean(0)) < 4 * error).all()


def test_rounds_are_as_good_as_one_of_their_size():
    """A wish for 10 effective draws in rounds of 4 comes nearer to the law than one round of 4, on the same number of steps."""
    few, grown = (
        on_the_right(drawn(samplers.conditioned(DENOISE, log_likelihood, draws=4, least=least), 3))[0]
        for least in (1.0, 20.0)
    )
    assert RIGHT - grown < (RIGHT - few) / 3


def test_every_example_has_its_own_measurement():
    """y [batch] beside the draws: examples pulled to the left and to the right. Mutation: the first y serves all."""
    y = jnp.where(jnp.arange(N) % 2, 3.0, -3.0)
    x_0 = drawn(samplers.conditioned(DENOISE, log_likelihood, draws=64, y=y), 2)
    for side, at in ((1, 3.0), (0, -3.0)):
        exact = DATA.given_linear(MATRIX, jnp.array([at]), R)
        some = x_0[side::2]
        error = jnp.sqrt(jnp.diag(exact.cov()) / len(some))
        assert (jnp.abs(some.mean(0) - exact.mean()) < 4 * error + 0.03).all()


def test_new_measurements_meet_the_compiled_program():
    """Through `jax.tree_util.Partial`, a log-likelihood around another array is not compiled again, and gives another answer."""
    given = lambda y: samplers.conditioned(DENOISE, Partial(_given, y), draws=8)  # noqa: E731
    left, right = (drawn(given(jnp.float32(y)), 2, n=200) for y in (-3.0, 3.0))
    assert left[:, 0].mean() < right[:, 0].mean() - 1


def _given(y, x_0):
    return log_likelihood(x_0, y)


def test_particles_are_exact_for_few_draws():
    """Two draws of each of 20,000 particles: the share on the right within 4 errors of the truth, where `conditioned` misses by 20.

    Errors are those of independent samples, doubled for the resampling. Mutations: no correction; mean and sum of eq. (C)
    exchanged; resampling by Z alone without the last factor.
    """
    n, m = 20_000, 2
    grid = times.grid(3)
    found = samplers.particles(DENOISE, log_likelihood, SCHEDULE, jax.random.key(0), start(1, n), grid, draws=m)
    share, error = on_the_right(found.x_0)
    assert abs(share - RIGHT) < 4 * 2 * error
    alone, _ = on_the_right(drawn(samplers.conditioned(DENOISE, log_likelihood, draws=m), 3, n=n))
    assert abs(alone - RIGHT) > 20 * 2 * error
    assert ((found.effective > 1) & (found.effective <= n)).all()
    spread = np.asarray(GIVEN.cov())
    close(np.cov(np.asarray(found.x_0).T), spread, atol=0.1 * spread.max())


def test_particles_of_a_flat_likelihood_are_never_weighed():
    """Every weight is 1: the effective size is the batch, at every step."""
    found = samplers.particles(
        DENOISE,
        lambda x_0: jnp.float32(2.0),
        SCHEDULE,
        jax.random.key(0),
        start(1, 64),
        times.grid(3),
        draws=3,
        churn=0.5,
    )
    close(found.effective, [64.0] * 3, rtol=1e-4)


def test_systematic_resampling_counts():
    """Each index n times its share, up to one. Mutation: multinomial numbers."""
    from ddjax.samplers.particles import systematic

    shares = np.array([0.1, 0.0, 0.55, 0.05, 0.3])
    with np.errstate(divide="ignore"):
        log_w = jnp.asarray(np.log(np.repeat(shares, 20)), jnp.float32)
    counts = np.bincount(np.asarray(systematic(jax.random.key(3), log_w)) // 20, minlength=5)
    assert (np.abs(counts - 100 * shares) <= 1).all()


def test_renoising_the_exact_posterior_gives_the_data():
    """At 1 and 3 steps, as the bridge does; each step is x_0 with fresh noise. Mutation: the noise of x_t again."""
    floor = metrics.floor(metrics.mmd, DATA.sample, jax.random.key(2), n=N, repeats=10)
    truth = DATA.sample(jax.random.key(3), N)
    for steps in (1, 3):
        x_0 = drawn(DENOISE, steps, kernel=samplers.renoise)
        assert abs(metrics.mmd(x_0, truth) - floor.mean) < 4 * floor.std
    fixed = lambda key, x_t, t: jnp.ones_like(x_t)  # noqa: E731
    x_s = samplers.renoise(fixed, SCHEDULE)(jax.random.key(0), start(1, 20_000), 0.9, 0.6)
    close(x_s.mean(0), [0.4, 0.4], atol=4 * 0.6 / np.sqrt(20_000))
    close(jnp.cov(x_s.T), 0.36 * np.eye(2), atol=0.02)
    close(jnp.corrcoef(x_s[:, 0], start(1, 20_000)[:, 0])[0, 1], 0.0, atol=0.03)


def test_the_plug_in_of_a_gaussian_is_known():
    """D + C A^T R^-1 (y - A D) with the posterior's covariance C, where the exact mean has (R + A C A^T)^-1."""
    gaussian = GaussianMixture(np.ones(1), DATA.means[:1], DATA.covs[:1])
    mean = denoisers.bind(mixtures.mean_oracle(gaussian, SCHEDULE), None)
    x_t, t = start(3, 5), jnp.linspace(0.2, 0.9, 5)
    plugged = samplers.plugged_in(mean, log_likelihood, SCHEDULE)(jax.random.key(0), x_t, t)
    for i in range(5):
        posterior = gaussian.posterior(SCHEDULE, x_t[i], t[i])
        pull = posterior.cov() @ MATRIX.T @ (Y - MATRIX @ posterior.mean()) / R[0, 0]
        close(plugged[i], posterior.mean() + pull, rtol=1e-4, atol=1e-5)
    assert jnp.isfinite(samplers.plugged_in(mean, log_likelihood, SCHEDULE)(jax.random.key(0), x_t, jnp.ones(5))).all()


def test_a_likelihood_that_is_no_number_is_told():
    """NaN and +inf make their example NaN, and no other."""
    for bad in (jnp.nan, jnp.inf):
        broken = lambda x_0, y: jnp.where(y > 0, bad, -jnp.sum(x_0**2))  # noqa: B023, E731
        y = jnp.array([0.0, 1.0, 0.0])
        x_0 = samplers.conditioned(DENOISE, broken, draws=4, y=y)(jax.random.key(0), start(1, 3), jnp.full(3, 0.5))
        same(jnp.isnan(x_0).all(1), [False, True, False])
    never = lambda x_0: jnp.nan * x_0[0]  # noqa: E731
    found = samplers.particles(DENOISE, never, SCHEDULE, jax.random.key(0), start(1, 3), times.grid(2), draws=2)
    assert jnp.isnan(found.x_0).all()


def test_images_are_conditioned_too():
    """Events of any shape: a hard measurement of one pixel, drawn from N(0, I) at t = 1."""
    noise = lambda key, x_t, t: jax.random.normal(key, x_t.shape)  # noqa: E731
    sharp = lambda x_0: -((x_0[1, 2, 0] - 0.5) ** 2) * 200  # noqa: E731
    x_0 = samplers.conditioned(noise, sharp, draws=256)(jax.random.key(0), jnp.zeros((200, 3, 4, 1)), jnp.ones(200))
    assert jnp.abs(x_0[:, 1, 2, 0] - 0.5).max() < 0.3
    assert abs(float(x_0[:, 0].std()) - 1) < 0.1


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"draws": 0}, "at least 1, got draws=0"),
        ({"least": 0.5}, "at least 1, got least=0.5"),
        ({"least": np.nan}, "at least 1, got least=nan"),
        ({"draws": 64, "most": 32}, "room for one round, got most=32 with draws=64"),
    ],
)
def test_settings_out_of_range_are_refused(settings, told):
    with pytest.raises(ValueError, match=told):
        samplers.conditioned(DENOISE, log_likelihood, **settings)


def test_other_mistakes_are_told():
    """A likelihood of a vector, no draws, no noise in the bridge."""
    x_t, t = start(1, 3), jnp.full(3, 0.5)
    for use in (
        lambda of: samplers.conditioned(DENOISE, of)(jax.random.key(0), x_t, t),
        lambda of: samplers.plugged_in(MEAN, of, SCHEDULE)(jax.random.key(0), x_t, t),
        lambda of: samplers.effective_draws(DENOISE, of, jax.random.key(0), x_t, t),
    ):
        with pytest.raises(ValueError, match=r"log-likelihood of one event must return an array of shape \(\)"):
            use(lambda x_0: x_0)
    with pytest.raises(ValueError, match="at least 1, got draws=0"):
        samplers.effective_draws(DENOISE, log_likelihood, jax.random.key(0), x_t, t, draws=0)
    for settings, told in (({"draws": 0}, "at least 1, got draws=0"), ({"churn": 0.0}, r"churn in \(0, 1\]")):
        with pytest.raises(ValueError, match=told):
            samplers.particles(DENOISE, log_likelihood, SCHEDULE, jax.random.key(0), x_t, times.grid(2), **settings)


def test_the_marginals_between_are_those_given_y():
    """Half way down, x_s is the law given y with noise: what makes the next step right."""
    grid = np.array([1.0, 0.4], np.float32)
    step = samplers.bridge(samplers.conditioned(DENOISE, log_likelihood, draws=256), SCHEDULE)
    x_s = samplers.sample(step, jax.random.key(0), start(1), grid)
    x_0, noise = GIVEN.sample(jax.random.key(2), N), start(3)
    exact = jax.vmap(lambda x_0, noise: paths.interpolate(SCHEDULE, x_0, noise, 0.4))(x_0, noise)
    close(x_s.mean(0), exact.mean(0), atol=4 * np.sqrt(2 / N))
    close(jnp.cov(x_s.T), jnp.cov(exact.T), atol=0.08)
