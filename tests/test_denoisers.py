"""Denoisers on toy networks whose draws are known: what is shared, what differs, what guidance does to it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close
from numpy.testing import assert_array_equal as same
from scipy import stats

from ddjax import denoisers, samplers, schedules
from ddjax.types import Network

SCHEDULE = schedules.Cosine()
X_T, T = jnp.array([[1.0, -2.0], [0.5, 3.0], [-4.0, 0.1]]), jnp.array([0.2, 0.5, 0.9])


def network(function):
    """A Network without parameters."""
    return Network(lambda key: None, lambda params, x_t, t, cond, xi: function(x_t, t, cond, xi))


def denoiser(function):
    return denoisers.distributional(network(function), SCHEDULE)


XI = denoiser(lambda x_t, t, cond, xi: xi)
POPULATIONS = (denoisers.population, denoisers.folded_population, denoisers.nested_population)


@pytest.mark.parametrize("kind", ["x0", "noise", "v", "velocity", "score"])
def test_every_kind_of_prediction_becomes_x_0(kind):
    """A network that answers exactly, each example at its own time.

    Fails when conversion takes one time for all.
    """
    x_0, noise = X_T, X_T[::-1] / 3
    alpha, sigma = (scale[:, None] for scale in jax.vmap(SCHEDULE)(T))
    answer = {
        "x0": x_0,
        "noise": noise,
        "v": alpha * noise - sigma * x_0,
        "velocity": jnp.pi / 2 * (alpha * noise - sigma * x_0),
        "score": -noise / sigma,
    }[kind]
    for make in (denoisers.mean, denoisers.distributional):
        exact = make(network(lambda *_: answer), SCHEDULE, predicts=kind)
        found = exact(None, jax.random.key(0), alpha * x_0 + sigma * noise, T)
        close(found, x_0, rtol=2e-4)


def test_mean_ignores_the_key_and_gives_no_xi():
    seen = []
    mean = denoisers.mean(network(lambda x_t, t, cond, xi: (seen.append((cond, xi)), x_t)[1]), SCHEDULE)
    first, second = (mean(None, jax.random.key(seed), X_T, T, "cond") for seed in range(2))
    same(first, second)
    assert seen == [("cond", None)] * 2


@pytest.mark.parametrize("population", POPULATIONS)
def test_xi_is_standard_normal_and_differs_in_every_number(population):
    """Fails for a uniform xi, one xi for the whole batch, or one xi for the population."""
    key, x_t = jax.random.key(1), jnp.zeros((4, 3))
    draws = np.asarray(population(XI, None, key, x_t, jnp.zeros(4), size=500))
    assert draws.shape == (4, 500, 3)
    assert len(np.unique(draws)) > 0.99 * draws.size
    assert stats.kstest(draws.ravel(), "norm").pvalue > 1e-3


def test_a_population_shares_all_but_xi_and_is_vmap_over_keys():
    """Draw j of example i is the denoiser's own under key j; fails for draws and examples exchanged."""
    affine = denoiser(lambda x_t, t, cond, xi: x_t + 10 * t[:, None] + cond + xi)
    cond = jnp.array([[100.0], [200.0], [300.0]])
    together = denoisers.population(affine, None, jax.random.key(2), X_T, T, cond, size=4)
    one_by_one = [affine(None, key, X_T, T, cond) for key in jax.random.split(jax.random.key(2), 4)]
    close(together, jnp.stack(one_by_one, 1), rtol=1e-6)


@pytest.mark.parametrize("population", POPULATIONS)
def test_every_draw_belongs_to_its_example(population):
    """Without xi all draws of an example are its own answer; fails for an order of the fold that mixes examples."""
    cond = jnp.array([[100.0], [200.0], [300.0]])
    plain = denoiser(lambda x_t, t, cond, xi: x_t + 10 * t[:, None] + cond)
    draws = population(plain, None, jax.random.key(3), X_T, T, cond, size=4)
    close(draws, np.repeat((X_T + 10 * T[:, None] + cond)[:, None], 4, 1), rtol=1e-6)


@pytest.mark.parametrize("population", [denoisers.population, denoisers.nested_population])
def test_what_does_not_depend_on_xi_is_computed_once(population):
    """Products of the layer before xi: those of the batch, for any size. Mutation: fold the draws into the batch."""
    layer = jnp.ones((2, 2))
    early = denoiser(lambda x_t, t, cond, xi: x_t @ layer + xi)

    def products(size):
        draw = lambda x_t: population(early, None, jax.random.key(3), x_t, T, size=size)  # noqa: E731
        dots = [line for line in jax.jit(draw).lower(X_T).as_text().splitlines() if "dot_general" in line]
        return [line.rpartition("->")[2] for line in dots]

    assert len(products(2)) == 1 and products(2) == products(50)


def test_bound_and_fixed_xi():
    """`fixed_xi` hands the same xi to every step; fails when the step's key still matters."""
    fixed = denoisers.fixed_xi(denoisers.bind(XI, None), jax.random.key(4))
    step = lambda key, x_t, t, s: fixed(key, x_t, jnp.full(3, t))  # noqa: E731
    path = samplers.sample_path(step, jax.random.key(5), X_T, np.array([1.0, 0.5, 0.0]))
    same(path[1], path[2])
    same(path[1], XI(None, jax.random.key(4), X_T, T))
    scaled = Network(lambda key: None, lambda params, x_t, t, cond, xi: params * xi + cond)
    bound = denoisers.bind(denoisers.distributional(scaled, SCHEDULE), 3.0, 7.0)(jax.random.key(6), X_T, T)
    close(bound, 3 * jax.random.normal(jax.random.key(6), X_T.shape) + 7, rtol=1e-6)


# labels 0..9, and 10 for "no label"; not linear, so that mixing x_t or labels instead of answers would show
LABELS = jnp.array([3, 0, 7], jnp.int32)
CLASSY = denoiser(lambda x_t, t, cond, xi: jnp.tanh(x_t) * cond["label"][:, None].astype(float) ** 2 + xi)


def branch(key, label):
    return CLASSY(None, key, X_T, T, {"label": jnp.broadcast_to(jnp.asarray(label, jnp.int32), 3)})


@pytest.mark.parametrize("shared", [True, False])
def test_weights_1_and_0_are_the_branches_bit_for_bit(shared):
    """Fails for u + w (c - u), which rounds; and for branches exchanged."""
    keys = (lambda: (jax.random.key(7),) * 2) if shared else (lambda: jax.random.split(jax.random.key(7)))
    for weight, label, which in ((1.0, LABELS, 0), (0.0, 10, 1)):
        guided = denoisers.guided(CLASSY, weight, null={"label": 10}, shared_xi=shared)
        found = guided(None, jax.random.key(7), X_T, T, {"label": LABELS})
        same(found, branch(jax.random.clone(keys()[which]), label))


def test_guidance_extrapolates_inside_its_interval_only():
    """Times .2 .5 .9 with interval (.2, .5): closed at both ends, conditional outside."""
    guided = denoisers.guided(CLASSY, 2.5, null={"label": 10}, interval=(0.2, 0.5))
    found = guided(None, jax.random.key(8), X_T, T, {"label": LABELS})
    conditional, unconditional = branch(jax.random.key(8), LABELS), branch(jax.random.key(8), 10)
    expected = unconditional + 2.5 * (conditional - unconditional)
    close(found[:2], expected[:2], rtol=1e-5)
    same(found[2], conditional[2])


@pytest.mark.parametrize("shared", [True, False])
def test_shared_xi_moves_a_draw_and_independent_xi_mixes_two(shared):
    """Variance 1 at every weight when shared, w^2 + (1 - w)^2 when not; the mean moves alike.

    Fails also when the null keeps its own dtype (an integer beside floats).
    """
    n, w = 20000, 1.8
    guided = denoisers.guided(denoiser(lambda x_t, t, cond, xi: cond + xi), w, null=np.int32(-1), shared_xi=shared)
    cond = jnp.full((n, 1), 2.0)
    draws = np.asarray(guided(None, jax.random.key(9), 0 * cond, jnp.zeros(n), cond), np.float64)
    variance = 1.0 if shared else w**2 + (1 - w) ** 2
    assert abs(draws.mean() - (2 * w - (1 - w))) < 4 * np.sqrt(variance / n)
    assert abs(draws.var() / variance - 1) < 4 * np.sqrt(2 / n)


@pytest.mark.parametrize(
    "make",
    [
        lambda: denoisers.population(XI, None, jax.random.key(0), X_T, T, size=0),
        lambda: denoisers.folded_population(XI, None, jax.random.key(0), X_T, T, size=0),
        lambda: denoisers.nested_population(XI, None, jax.random.key(0), X_T, T, size=0),
        lambda: denoisers.guided(XI, 2.0, null=None, interval=(0.6, 0.4)),
        lambda: denoisers.guided(XI, 2.0, null=None, interval=(-0.1, 0.4)),
        lambda: denoisers.guided(XI, 2.0, null=None, interval=(0.1, 1.4)),
    ],
)
def test_impossible_settings_are_refused(make):
    with pytest.raises(ValueError, match="got "):
        make()
