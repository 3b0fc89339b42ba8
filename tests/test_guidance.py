"""Guidance of velocities and of distributional denoisers: at every stage, and against exact tilted targets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close
from numpy.testing import assert_array_equal as same
from scipy import stats

from ddjax import denoisers, flows, mixtures, networks, samplers, schedules, times

SCHEDULE = schedules.Rectified()
X_T = jnp.array([[0.4, -1.3], [2.0, 0.7], [-0.6, 0.1]])
T = jnp.array([0.9, 0.35, 0.6])
LABELS = jnp.array([1, 0, 1], jnp.int32)
NULL = 2


@pytest.fixture(scope="module")
def labelled():
    """A random network on labels, and its parameters."""
    network = networks.labelled(networks.mlp(2, width=16, depth=2, inject=None, cond_size=2), 2)
    return network, network.init(jax.random.key(0))


def test_weights_0_and_1_are_the_branches_bit_for_bit(labelled):
    """For velocities as for denoisers. Fails for u + w (c - u), which rounds."""
    network, params = labelled
    velocity = flows.network_velocity(network, SCHEDULE)
    for weight, label in ((1.0, LABELS), (0.0, jnp.full(3, NULL, jnp.int32))):
        guided = denoisers.guided(velocity, weight, null=NULL)
        found = guided(params, jax.random.key(1), X_T, T, LABELS)
        same(found, velocity(params, jax.random.key(1), X_T, T, label))
    assert (velocity(params, jax.random.key(1), X_T, T, LABELS) != found).any()


def test_guiding_a_velocity_is_guiding_the_x_0_behind_it(labelled):
    """One is an affine function of the other and the weights sum to 1. Fails for weights that do not."""
    network, params = labelled
    as_denoiser = denoisers.mean(network, SCHEDULE, predicts="velocity")
    as_velocity = flows.network_velocity(network, SCHEDULE, predicts="velocity")
    guided_x_0 = denoisers.bind(denoisers.guided(as_denoiser, 3.5, null=NULL), params, LABELS)
    guided_velocity = denoisers.bind(denoisers.guided(as_velocity, 3.5, null=NULL), params, LABELS)
    found = flows.velocity(guided_x_0, SCHEDULE)(jax.random.key(1), X_T, T)
    close(found, guided_velocity(jax.random.key(1), X_T, T), rtol=1e-4)


SLOPES, SHIFTS = np.array([0.3, -0.8, 0.1]), np.array([1.0, -2.0, 0.4])  # classes 0 and 1, and no class


def affine(params, key, x_t, t, cond):
    """x_0 = a_c (1 + t) x_t + b_c: a denoiser whose guided steps are sums by hand."""
    a, b = jnp.asarray(SLOPES, x_t.dtype)[cond], jnp.asarray(SHIFTS, x_t.dtype)[cond]
    return (a * (1 + t))[:, None] * x_t + b[:, None]


def guided_slope(x, t, label, w):
    """(x - D) / t with D the guided x_0, in NumPy."""
    a = (1 - w) * SLOPES[NULL] + w * SLOPES[label]
    b = (1 - w) * SHIFTS[NULL] + w * SHIFTS[label]
    return (x - a * (1 + t) * x - b) / t


def by_hand(solver, x, t, s, label, weight):
    """One step of each solver with the weight that holds at the time of each stage."""
    h = s - t
    slope = lambda x, t: guided_slope(x, t, label, weight(t))  # noqa: E731
    k_1 = slope(x, t)
    if solver == "midpoint":
        return x + h * slope(x + h / 2 * k_1, t + h / 2)
    if solver == "heun":
        return x + h / 2 * (k_1 + slope(x + h * k_1, s))
    k_2 = slope(x + h / 2 * k_1, t + h / 2)
    k_3 = slope(x + h / 2 * k_2, t + h / 2)
    return x + h / 6 * (k_1 + 2 * k_2 + 2 * k_3 + slope(x + h * k_3, s))


@pytest.mark.parametrize("interval", [(0.0, 1.0), (0.5, 0.7)], ids=["always", "middle stages alone"])
@pytest.mark.parametrize("solver", ["midpoint", "heun", "rk4"])
def test_every_stage_of_a_step_is_guided(x64, solver, interval):
    """From t = .8 to s = .4 with w = 3, stages at .8, .6 and .4. Fails for guidance at the first stage alone."""
    guided = denoisers.guided(affine, 3.0, null=NULL, interval=interval)
    step = getattr(samplers, solver)(denoisers.bind(guided, None, LABELS), SCHEDULE)
    found = jax.jit(step)(jax.random.key(0), X_T.astype(float), 0.8, 0.4)
    weight = lambda t: 3.0 if interval[0] <= t <= interval[1] else 1.0  # noqa: E731
    rows = zip(np.asarray(X_T, float), np.asarray(LABELS), strict=True)
    close(found, [by_hand(solver, x, 0.8, 0.4, label, weight) for x, label in rows], rtol=1e-9)


def oracle_with_labels(conditional, unconditional):
    """A denoiser on labels: exact posterior draws of one component, and of the null's law."""
    branches = [mixtures.oracle(law, SCHEDULE) for law in (*conditional, unconditional)]

    def denoiser(params, key, x_t, t, cond):
        draws = jnp.stack([branch(None, jax.random.clone(key), x_t, t) for branch in branches])
        return jnp.take_along_axis(draws, cond[None, :, None], 0)[0]

    return denoiser


def gaussian(mean, variance=0.3):
    return mixtures.GaussianMixture(np.ones(1), np.array([[mean]]), np.array([[[variance]]]))


def guided_sampler(denoiser, n, *, steps, null=NULL, shared_xi=True):
    """(weight, churn) -> draws of class 0 by the bridge sampler."""

    @jax.jit
    def draw(key, weight, churn):
        key_prior, key_steps = jax.random.split(key)
        guided = denoisers.guided(denoiser, weight, null=null, shared_xi=shared_xi)
        step = samplers.bridge(denoisers.bind(guided, None, jnp.zeros(n, jnp.int32)), SCHEDULE, churn=churn)
        return samplers.sample(step, key_steps, jax.random.normal(key_prior, (n, 1)), times.grid(steps))

    return lambda weight, churn=1.0: np.asarray(draw(jax.random.key(2), weight, churn), np.float64).ravel()


@pytest.mark.parametrize("steps", [1, 4])
def test_shared_xi_is_exact_where_classes_differ_by_a_shift(steps):
    """p_0^(1 - w) p_c^w of N(m_0, v) and N(m_c, v) is N(m_0 + w (m_c - m_0), v): reached at every number of steps.

    Two independent xi have posterior variance w^2 + (1 - w)^2 times too large. Fails for exchanged branches.
    """
    w, n, variance = 2.5, 4000, 0.3
    denoiser = oracle_with_labels([gaussian(1.0)], gaussian(0.2))
    target = stats.norm(0.2 + w * 0.8, np.sqrt(variance))
    shared = guided_sampler(denoiser, n, steps=steps, null=1)
    for churn in (0.0, 1.0):
        assert stats.kstest(shared(w, churn), target.cdf).pvalue > 1e-3
    mixed = guided_sampler(denoiser, n, steps=steps, null=1, shared_xi=False)(w)
    assert stats.kstest(mixed, target.cdf).pvalue < 1e-9
    if steps == 1:
        assert abs(mixed.var() / (variance * (w**2 + (1 - w) ** 2)) - 1) < 4 * np.sqrt(2 / n)


PAIR = mixtures.GaussianMixture(np.array([0.4, 0.6]), np.array([[-1.0], [0.8]]), np.array([[[0.16]], [[0.36]]]))
LINE = np.linspace(-6, 6, 4001)


def distance_to_tilted(x, weight):
    """W_1 to p(x) p(class 0 | x)^weight, by quantiles of its density on a grid; in units of its own spread."""
    log = jax.vmap(lambda x: PAIR.tilted_log_prob(x, 0, weight))(jnp.asarray(LINE, jnp.float32)[:, None])
    density = np.exp(np.asarray(log, np.float64) - np.max(log))
    cdf = np.cumsum(density) / density.sum()
    quantiles = np.interp((np.arange(len(x)) + 0.5) / len(x), cdf, LINE)
    return np.abs(np.sort(x) - quantiles).mean() / quantiles.std()


def test_guidance_against_the_exact_tilted_mixture():
    """At w = 0 and 1 it is the target. At w = 3 it overshoots, less with more steps, and shared xi is nearer.

    Fails for a null that keeps its label, or xi not shared.
    """
    covs, means = np.asarray(PAIR.covs), np.asarray(PAIR.means)
    parts = [mixtures.GaussianMixture(np.ones(1), means[k : k + 1], covs[k : k + 1]) for k in (0, 1)]
    denoiser = oracle_with_labels(parts, PAIR)
    n, floor = 4000, 4 / np.sqrt(4000)
    in_4_steps = guided_sampler(denoiser, n, steps=4)
    for weight in (0.0, 1.0):
        assert distance_to_tilted(in_4_steps(weight), weight) < floor
    few = distance_to_tilted(in_4_steps(3.0), 3.0)
    many, mixed = (
        distance_to_tilted(guided_sampler(denoiser, n, steps=32, shared_xi=shared)(3.0), 3.0)
        for shared in (True, False)
    )
    assert floor < many < few / 1.5
    assert mixed > 1.3 * many


def test_labels_reach_the_network_one_hot_and_the_null_as_zeros(labelled):
    """`labelled` against one-hot conditions by hand. Fails for a null that is some class."""
    network, params = labelled
    plain = networks.mlp(2, width=16, depth=2, inject=None, cond_size=2)
    labels = jnp.array([1, NULL, 0], jnp.int32)
    one_hot = jnp.array([[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
    same(network.apply(params, X_T, T, labels, None), plain.apply(params, X_T, T, one_hot, None))


def test_known_labels_may_meet_a_traced_loop(labelled):
    """Sampling outside jit scans over times while the labels are concrete. Fails for a check made by traced comparisons."""
    network, params = labelled
    step = flows.euler(denoisers.bind(flows.network_velocity(network, SCHEDULE), params, LABELS))
    found = samplers.sample(step, jax.random.key(0), X_T, times.grid(1))
    close(found, X_T - network.apply(params, X_T, jnp.ones(3), LABELS, None), atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda network, params: network.apply(params, X_T, T, jnp.array([0, 1, 3], jnp.int32), None),
        lambda network, params: network.apply(params, X_T, T, jnp.array([0, -1, 1], jnp.int32), None),
        lambda network, params: network.apply(params, X_T, T, None, None),
        lambda network, params: networks.labelled(network, 0),
        lambda network, params: denoisers.guided(affine, 2.0, null=NULL)(None, jax.random.key(0), X_T, T, None),
    ],
    ids=["label too large", "negative label", "no label", "no classes", "guidance without labels"],
)
def test_impossible_requests_are_refused(unchecked, labelled, make):
    with pytest.raises(ValueError, match="got "):
        make(*labelled)
