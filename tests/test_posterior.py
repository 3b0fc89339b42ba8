"""A denoiser's posterior as a value: its draws, their moments against exact ones, and derivatives along the draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import SKEWED
from numpy.testing import assert_allclose as close
from numpy.testing import assert_array_equal as same

from ddjax import denoisers, mixtures, schedules
from ddjax.mixtures import GaussianMixture

SCHEDULE = schedules.Rectified()
X_T, T = jnp.array([[1.0, 0.2, -0.5], [-0.3, 0.9, 0.4]]), jnp.array([0.3, 0.8])


def curved(params, key, x_t, t, cond):
    """Draws that depend on all there is, xi not additive: a skewed law."""
    xi = jax.random.normal(key, x_t.shape, x_t.dtype)
    times = t.reshape(-1, *[1] * (x_t.ndim - 1))
    return jnp.sin(x_t) * params["slope"] + times * jnp.exp(params["spread"] * xi) + (0 if cond is None else cond)


PARAMS = {"slope": jnp.float32(1.5), "spread": jnp.float32(0.4)}


@pytest.mark.parametrize("n", [2, 5, 64, 65, 200])
def test_moments_are_those_of_the_draws_of_the_same_key(n):
    """Events [2, 3], in and across blocks, against NumPy. Mutations: ddof 0; a block left out."""
    x_t = jax.random.normal(jax.random.key(1), (4, 2, 3))
    found = denoisers.posterior(curved, PARAMS, x_t, jnp.linspace(0.1, 0.9, 4), jnp.ones(x_t.shape))
    draws = found.sample(jax.random.key(2), n)
    assert draws.shape == (4, n, 2, 3)
    flat = np.asarray(draws, np.float64).reshape(4, n, 6)
    close(found.mean(jax.random.key(2), n).reshape(4, 6), flat.mean(1), rtol=1e-5, atol=1e-6)
    covs = [np.cov(of_one, rowvar=False, ddof=1) for of_one in flat]
    close(found.cov(jax.random.key(2), n), covs, rtol=1e-4, atol=1e-6)


def test_moments_are_the_exact_posteriors(skewed):
    """Of the oracle, at two points and times, within 4 standard errors. Mutation: one time for both."""
    n, found = 4000, denoisers.posterior(mixtures.oracle(skewed, SCHEDULE), None, X_T, T)
    means, covs = found.mean(jax.random.key(3), n), found.cov(jax.random.key(3), n)
    draws = np.asarray(found.sample(jax.random.key(3), n), np.float64)
    for i in range(2):
        exact = skewed.posterior(SCHEDULE, X_T[i], T[i])
        centred = draws[i] - np.asarray(exact.mean())
        products = centred[:, :, None] * centred[:, None, :]
        assert (abs(np.asarray(means[i] - exact.mean())) < 4 * centred.std(0) / np.sqrt(n)).all()
        assert (abs(np.asarray(covs[i] - exact.cov())) < 4 * products.std(0) / np.sqrt(n)).all()


def test_the_covariance_is_unbiased():
    """The mean over 2,000 covariances of 3 draws is that of the law, at 4 sigma. Mutation: ddof 0, a third too small."""
    noise = lambda params, key, x_t, t, cond: jax.random.exponential(key, x_t.shape)  # noqa: E731
    found = denoisers.posterior(noise, None, jnp.zeros((2000, 2)), jnp.zeros(2000))
    covs = np.asarray(found.cov(jax.random.key(4), 3), np.float64)
    exact = np.eye(2)
    assert (abs(covs.mean(0) - exact) < 4 * covs.std(0) / np.sqrt(2000)).all()


def test_no_digits_are_lost_far_from_the_origin():
    """Draws on a grid of 1/64, moved by 2^16, have the same covariance. Mutation: mean of products less product of means."""
    grid = lambda params, key, x_t, t, cond: params + jnp.round(jax.random.normal(key, x_t.shape) * 64) / 64  # noqa: E731
    near, far = (
        denoisers.posterior(grid, shift, X_T, T).cov(jax.random.key(5), 300) for shift in (0.0, jnp.float32(2.0**16))
    )
    close(near, far, rtol=1e-5, atol=1e-6)


def test_the_slope_of_the_mean_is_the_covariance():
    """Tweedie's second order for one skewed Gaussian: alpha / sigma^2 Cov(x_0 | x_t), exactly and from the draws at 5 sigma.

    Mutation: a gradient stopped at the draws.
    """
    one, n = GaussianMixture(np.ones(1), SKEWED["means"][:1], SKEWED["covs"][:1]), 3000
    oracle = mixtures.oracle(one, SCHEDULE)
    mean = lambda x_t: denoisers.posterior(oracle, None, x_t, T).mean(jax.random.key(6), n)  # noqa: E731
    slopes = jax.jacrev(mean)(X_T)
    drawn = denoisers.posterior(oracle, None, X_T, T).cov(jax.random.key(6), n)
    for i, t in enumerate(map(float, T)):
        ratio, cov = (1 - t) / t**2, np.asarray(one.posterior(SCHEDULE, X_T[i], t).cov())
        close(slopes[i, :, i], ratio * cov, rtol=1e-4, atol=1e-5)
        error = ratio * np.sqrt((np.outer(np.diag(cov), np.diag(cov)) + cov**2) / n)
        assert (abs(np.asarray(slopes[i, :, i] - ratio * drawn[i])) < 5 * error).all()
        same(slopes[i, :, 1 - i], 0.0)  # examples do not meet


def test_the_choice_of_a_component_has_no_slope(skewed):
    """As told of mixtures: alpha / sigma^2 times the covariance inside the components, at 5 sigma; the mean's own has all of it."""
    n, oracle, exact = 3000, mixtures.oracle(skewed, SCHEDULE), mixtures.mean_oracle(skewed, SCHEDULE)
    x_t, t = jnp.array([[0.3, 0.1, 0.2]]), jnp.array([0.6])
    slope, whole = (
        jax.jacrev(lambda x_t, d=d, n=n: denoisers.posterior(d, None, x_t, t).mean(jax.random.key(7), n))(x_t)[0, :, 0]
        for d, n in ((oracle, n), (exact, 1))
    )
    posterior, ratio = skewed.posterior(SCHEDULE, x_t[0], 0.6), 0.4 / 0.6**2
    close(whole, ratio * np.asarray(posterior.cov()), rtol=1e-4, atol=1e-5)
    weights, inside = np.asarray(posterior.weights), ratio * np.asarray(posterior.covs)
    expected = np.einsum("k,kij->ij", weights, inside)
    error = np.sqrt((np.einsum("k,kij->ij", weights, inside**2) - expected**2) / n)
    assert (abs(np.asarray(slope) - expected) < 5 * error + 1e-5).all()
    assert np.abs(expected - np.asarray(whole)).max() > 0.1


def test_gradients_by_params_are_those_of_the_draws():
    """Against jax.grad through `sample`, for mean and covariance, across blocks, by params and x_t.

    Mutations: a gradient stopped at the draws; a block left out.
    """
    key, n = jax.random.key(8), 150

    def moments(params, x_t):
        found = denoisers.posterior(curved, params, x_t, T)
        return jnp.sum(found.mean(jax.random.clone(key), n) ** 2) + jnp.sum(found.cov(jax.random.clone(key), n) ** 2)

    def plain(params, x_t):
        draws = denoisers.posterior(curved, params, x_t, T).sample(jax.random.clone(key), n)
        centred = draws - draws.mean(1, keepdims=True)
        covs = jnp.einsum("bni,bnj->bij", centred, centred) / (n - 1)
        return jnp.sum(draws.mean(1) ** 2) + jnp.sum(covs**2)

    for ours, theirs in zip(
        *(jax.tree.leaves(jax.grad(f, (0, 1))(PARAMS, X_T)) for f in (moments, plain)), strict=True
    ):
        close(ours, theirs, rtol=1e-4, atol=1e-5)
        assert (np.abs(np.asarray(theirs)) > 1e-3).all()


def test_a_mean_denoiser_has_no_spread():
    """Exactly: one answer, covariance 0."""
    found = denoisers.posterior(lambda params, key, x_t, t, cond: 3 * x_t, None, X_T, T)
    close(found.mean(jax.random.key(9), 100), 3 * X_T, rtol=1e-6)
    same(found.cov(jax.random.key(9), 100), 0.0)


def test_it_passes_through_jit_and_vmap(skewed):
    """As an argument and as what is returned, with params and without. Mutation: leaves in another order."""
    for denoiser, params in ((curved, PARAMS), (mixtures.oracle(skewed, SCHEDULE), None)):
        made = jax.jit(lambda x_t, d=denoiser, p=params: denoisers.posterior(d, p, x_t, T))(X_T)
        wanted = made.mean(jax.random.key(10), 8)
        close(jax.jit(lambda found: found.mean(jax.random.key(10), 8))(made), wanted, rtol=1e-5, atol=1e-6)
        same(made.x_t, X_T)
        same(made.t, T)
        assert made.denoiser is denoiser
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf + 1]), denoisers.posterior(curved, PARAMS, X_T, T))
    both = jax.vmap(lambda found: found.mean(jax.random.key(11), 8))(stacked)
    alone = denoisers.posterior(curved, jax.tree.map(lambda leaf: leaf + 1, PARAMS), X_T + 1, T + 1)
    close(both[1], alone.mean(jax.random.key(11), 8), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_moments_of_half_precision_are_in_float32(dtype):
    """40,000 draws of 0 or 1: counts beyond half precision. Mutation: sums in the dtype of the draws."""
    coin = lambda params, key, x_t, t, cond: jax.random.bernoulli(key, 0.5, x_t.shape).astype(x_t.dtype)  # noqa: E731
    found = denoisers.posterior(coin, None, jnp.zeros((1, 1), dtype), jnp.zeros(1))
    assert found.sample(jax.random.key(12), 3).dtype == dtype
    mean, cov = found.mean(jax.random.key(12), 40_000), found.cov(jax.random.key(12), 40_000)
    assert mean.dtype == cov.dtype == jnp.float32
    assert abs(float(mean[0, 0]) - 0.5) < 4 * 0.5 / 200
    close(cov[0, 0, 0], mean[0, 0] * (1 - mean[0, 0]) * 40_000 / 39_999, rtol=1e-4)


def test_memory_of_moments_is_that_of_a_block():
    """20,000 draws, which would fill 164 MB, and their gradient. Mutation: no jax.checkpoint."""
    x_t = jax.ShapeDtypeStruct((8, 256), jnp.float32)
    bent = lambda params, key, x_t, t, cond: jnp.tanh(x_t + params * jax.random.normal(key, x_t.shape))  # noqa: E731

    def total(x_t):
        return jnp.sum(denoisers.posterior(bent, 2.0, x_t, jnp.full(8, 0.5)).mean(jax.random.key(13), 20_000) ** 2)

    for function in (total, jax.grad(total)):
        compiled = jax.jit(function).lower(x_t).compile()
        assert compiled.memory_analysis().temp_size_in_bytes < 16e6


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: denoisers.posterior(curved, PARAMS, X_T, T).sample(jax.random.key(0), 0), "at least 1, got size=0"),
        (lambda: denoisers.posterior(curved, PARAMS, X_T, T).mean(jax.random.key(0), 0), "at least 1, got n=0"),
        (lambda: denoisers.posterior(curved, PARAMS, X_T, T).cov(jax.random.key(0), 1), "at least 2, got n=1"),
        (lambda: denoisers.posterior(curved, PARAMS, X_T, T[:1]), r"times t \[batch\], got"),
        (lambda: denoisers.posterior(curved, PARAMS, X_T, T[0]), r"times t \[batch\], got"),
        (lambda: denoisers.posterior(curved, PARAMS, X_T, X_T), r"times t \[batch\], got"),
        (lambda: denoisers.posterior(curved, PARAMS, X_T[0, 0], T), r"times t \[batch\], got"),
    ],
)
def test_mistakes_are_told(unchecked, make, says):
    with pytest.raises(ValueError, match=says):
        make()
