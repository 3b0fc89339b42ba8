"""Couplings: permutations, optimal or nearly, that leave the noise of every condition as it was drawn."""

import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from ddjax import couplings
from ddjax.couplings import costs, plans
from ddjax.data import toys

N = 256
PERMUTING = {
    "independent": couplings.independent,
    "assignment": couplings.assignment,
    "sinkhorn": couplings.sinkhorn,
    "sinkhorn by ott": partial(couplings.sinkhorn, planner=couplings.entropic),
}


def moons(seed=0, n=N):
    """A labelled batch and noise for it."""
    data = toys.two_moons(jax.random.key(seed), n, noise=0.03)
    return data.x_0, jax.random.normal(jax.random.key(1000 + seed), (n, 2)), data.cond


def squared_costs(x_0, x_1):
    """The definition, in float64."""
    x_0, x_1 = (np.asarray(x, np.float64).reshape(len(x), -1) for x in (x_0, x_1))
    return ((x_0[:, None] - x_1[None]) ** 2).sum(-1)


def rows(x):
    """The rows of a batch in an order that does not depend on theirs."""
    flat = np.asarray(x).reshape(len(x), -1)
    return flat[np.lexsort(flat.T)]


@pytest.mark.parametrize("name", PERMUTING)
def test_the_noise_of_the_batch_and_of_each_class_is_kept(name):
    """Blind to labels, the batch's noise is permuted; with labels, that of each class.

    Fails for resampling, for a pair across classes, and for data that moves in place of the noise.
    """
    x_0, x_1, labels = moons()
    coupling = jax.jit(PERMUTING[name])
    np.testing.assert_array_equal(rows(coupling(jax.random.key(0), x_0, x_1)), rows(x_1))
    paired = coupling(jax.random.key(0), x_0, x_1, labels)
    for label in (0, 1):
        np.testing.assert_array_equal(rows(paired[labels == label]), rows(x_1[labels == label]))


def test_assignment_costs_what_scipy_says():
    """On skewed events of any shape. Fails for the inverse permutation, or a cost that forgets an axis."""
    x_0 = jax.random.gamma(jax.random.key(0), 2.0, (64, 3, 2)) + 5
    x_1 = jax.random.normal(jax.random.key(1), (64, 3, 2))
    cost = squared_costs(x_0, x_1)
    best = cost[linear_sum_assignment(cost)].sum()
    paired = couplings.assignment(jax.random.key(2), x_0, x_1)
    assert paired.shape == x_1.shape
    np.testing.assert_allclose(np.trace(squared_costs(x_0, paired)), best, rtol=1e-5)


DATA = {
    "moons": lambda: moons(1)[0],
    "far away": lambda: moons(1)[0] + 100.0,
    "tiny": lambda: 1e-3 * moons(1)[0],
    "64 dimensions": lambda: jax.random.gamma(jax.random.key(3), 1.5, (N, 64)),
    "outliers": lambda: moons(1)[0] * jnp.where(jnp.arange(N) % 40 == 0, 300.0, 1.0)[:, None],
}


@pytest.mark.parametrize(
    ("name", "planner"),
    [*((name, couplings.annealed) for name in DATA), ("outliers", couplings.entropic)],
)
def test_sinkhorn_reaches_nearly_all_of_the_gain(name, planner):
    """At least 94 % of what assignment gains over the noise as it came, also where kernels would underflow."""
    x_0 = DATA[name]()
    x_1 = jax.random.normal(jax.random.key(4), x_0.shape)
    paired = jax.jit(partial(couplings.sinkhorn, planner=planner))(jax.random.key(0), x_0, x_1)
    cost = squared_costs(x_0, x_1)
    best = cost[linear_sum_assignment(cost)].sum()
    np.testing.assert_array_equal(rows(paired), rows(x_1))
    assert np.trace(squared_costs(x_0, paired)) - best < 0.06 * (np.trace(cost) - best)


@jax.jit
def noise_of_many_batches(coupling_sees_labels):
    """Noise after coupling and labels, of 60 batches, paired inside a scan."""

    def batch(_, key):
        key_data, key_noise, key_pair = jax.random.split(key, 3)
        x_0, labels = toys.two_moons(key_data, N, noise=0.03)
        noise = jax.random.normal(key_noise, x_0.shape)
        seen = jnp.where(coupling_sees_labels, labels, 0)
        return None, (couplings.sinkhorn(key_pair, x_0, noise, seen), labels)

    return jax.lax.scan(batch, None, jax.random.split(jax.random.key(5), 60))[1]


def worst_deviation(noise, labels):
    """The largest z-score of a class's noise against mean 0 and covariance I."""
    worst = 0.0
    for label in (0, 1):
        x = np.asarray(noise, np.float64)[np.asarray(labels) == label]
        n = len(x)
        second = x.T @ x / n
        z = [*x.mean(0) * np.sqrt(n), *(np.diag(second) - 1) * np.sqrt(n / 2), second[0, 1] * np.sqrt(n)]
        worst = max(worst, np.abs(z).max())
    return worst


def test_class_aware_coupling_leaves_the_noise_of_a_class_standard_normal_and_blind_coupling_does_not():
    """Trap 6: mean and covariance at n = 7,680 for each class. Matched noise leans toward its moon by (.4, .55)."""
    assert worst_deviation(*noise_of_many_batches(True)) < 4
    assert worst_deviation(*noise_of_many_batches(False)) > 30


def test_couplings_inside_scan_are_those_outside():
    """Fails where a solver cannot be traced, or its key or state leaks between steps."""
    x_0, x_1, labels = moons(2)
    for coupling in (couplings.assignment, couplings.sinkhorn):
        step = lambda x, _, coupling=coupling: (coupling(jax.random.key(0), x_0, x, labels), None)  # noqa: E731
        scanned, _ = jax.jit(lambda x, step=step: jax.lax.scan(step, x, None, length=3))(x_1)
        alone = coupling(jax.random.key(0), x_0, x_1, labels)
        cost = lambda paired: np.trace(squared_costs(x_0, paired))  # noqa: E731
        np.testing.assert_allclose(cost(scanned), cost(alone), rtol=1e-2)


def test_a_continuous_condition_is_kept_by_the_stated_share():
    """Counted on the costs by C2OT's definition, off the diagonal: at least the share, and not much more.

    Fails for a weight of the wrong sign or scale, pairs that count the diagonal, or a search that stops early.
    """
    x_0, x_1, _ = moons(3)
    cond = x_0[:, :1] * 7.0
    own = np.diag(squared_costs(x_0, x_1))[:, None]
    for share in (0.8, 0.95, 0.99):
        weighted = np.asarray(couplings.near_condition(share)(x_0, x_1, cond), np.float64)
        keeps = (weighted >= own * (1 - 1e-5))[~np.eye(N, dtype=bool)].mean()
        assert share - 1e-4 <= keeps <= share + 2e-4


def test_the_share_trades_transport_for_independence():
    """Share 0 is blind, share 1 leaves every pair; between, cost rises as the noise forgets the condition."""
    x_0, x_1, _ = moons(4)
    cond = x_0[:, 0]
    paired = [
        couplings.assignment(jax.random.key(0), x_0, x_1, cond, cost=couplings.near_condition(share))
        for share in (0.0, 0.9, 0.99, 1.0)
    ]
    np.testing.assert_array_equal(paired[0], couplings.blind(couplings.assignment)(jax.random.key(9), x_0, x_1, cond))
    cost = [np.trace(squared_costs(x_0, noise)) for noise in paired]
    lean = [abs(np.corrcoef(cond, noise[:, 0])[0, 1]) for noise in paired]
    assert (np.diff(cost) > 0).all()
    assert lean[0] > 0.8 > 0.3 > lean[2]
    np.testing.assert_allclose(cost[-1], np.trace(squared_costs(x_0, x_1)), rtol=0.06)


def test_equal_conditions_may_be_exchanged_at_any_share():
    """One-hot conditions: pairs within a class never count against the share, and at share 1 they alone are left.

    Fails where a pair that keeps its condition is taken for one that changes it.
    """
    x_0, x_1, labels = moons(5)
    one_hot = jax.nn.one_hot(labels, 2)
    weighted = np.asarray(couplings.near_condition(0.9)(x_0, x_1, one_hot), np.float64)
    own, changed = np.diag(squared_costs(x_0, x_1))[:, None], labels[:, None] != labels[None]
    assert 0.099 < (changed & (weighted < own * (1 - 1e-5))).sum() / (N * (N - 1)) < 0.1001
    soft = couplings.assignment(jax.random.key(0), x_0, x_1, one_hot, cost=couplings.near_condition(1.0))
    hard = couplings.assignment(jax.random.key(0), x_0, x_1, labels)
    np.testing.assert_allclose(np.trace(squared_costs(x_0, soft)), np.trace(squared_costs(x_0, hard)), rtol=0.02)


def test_what_a_coupling_sees_follows_from_the_kind_of_condition():
    """Integers are classes, floats are near or far, and `blind` sees neither."""
    x_0, x_1, labels = moons(6)
    same = np.testing.assert_array_equal
    same(costs.conditional(x_0, x_1, None), costs.squared(x_0, x_1))
    same(costs.conditional(x_0, x_1, labels), costs.within_classes(x_0, x_1, labels))
    same(costs.conditional(x_0, x_1, x_0[:, 0]), costs.near_condition()(x_0, x_1, x_0[:, 0]))
    same(costs.near_condition()(x_0[:1], x_1[:1], x_0[:1, 0]), costs.squared(x_0[:1], x_1[:1]))
    np.testing.assert_allclose(costs.squared(x_0, x_1), squared_costs(x_0, x_1), atol=1e-5)
    blind = couplings.blind(couplings.sinkhorn)
    same(blind(jax.random.key(9), x_0, x_1, labels), couplings.sinkhorn(jax.random.key(9), x_0, x_1))


def test_annealed_and_ott_find_one_plan():
    """At the same epsilon, given iterations enough. Fails for a wrong unit of epsilon, or lost absorptions."""
    x_0, x_1, labels = moons(7, 64)
    for cost in (costs.squared(x_0, x_1), costs.within_classes(x_0, x_1, labels)):
        ours = plans.annealed(cost, epsilons=(0.5, 0.1), iterations=300, tolerance=1e-4)
        theirs = plans.entropic(cost, epsilon=0.1, tolerance=1e-5)
        assert ours.converged
        assert theirs.converged
        np.testing.assert_allclose(np.exp(ours.log), np.exp(theirs.log), atol=2e-3)
        np.testing.assert_allclose(np.exp(ours.log).sum(0), 1, rtol=1e-3)
        np.testing.assert_allclose(np.exp(ours.log).sum(1), 1, rtol=1e-3)


@pytest.mark.parametrize(
    "log",
    [
        np.zeros((9, 9)),
        np.full((9, 9), -np.inf),
        np.tile(np.arange(9.0), (9, 1)),
        np.where(np.arange(81).reshape(9, 9) % 7 == 0, np.inf, -3.0),
    ],
    ids=["ties", "nothing", "all want one", "infinities"],
)
def test_any_plan_rounds_to_a_permutation(log):
    permutation = plans.to_permutation(plans.Plan(jnp.asarray(log, jnp.float32), jnp.asarray(True)))
    np.testing.assert_array_equal(np.sort(permutation), np.arange(9))


def test_a_pair_beyond_float32_is_no_forbidden_pair():
    """Its cost is NaN, not the infinity of a pair across classes. Mutation: squares that overflow to infinity are kept."""
    far = jnp.asarray([[1e19], [-1e19]])
    np.testing.assert_array_equal(costs.squared(far, far), [[0, np.nan], [np.nan, 0]])


def test_a_plan_with_nan_rounds_to_nothing():
    """It raises, and indexes nothing under jit, in rows without NaN too. Mutations: NaN as the least likely pair; no guard."""
    plan = plans.Plan(jnp.zeros((3, 3)).at[1, 2].set(jnp.nan), jnp.asarray(True))
    with pytest.raises(ValueError, match="got 1 NaN"):
        plans.to_permutation(plan)
    np.testing.assert_array_equal(jax.jit(plans.to_permutation)(plan), [3, 3, 3])


def test_rounding_follows_the_plan():
    """A plan that is a permutation comes back. Fails for the inverse, or rows in a wrong order."""
    expected = np.random.default_rng(0).permutation(40)
    log = np.where(np.arange(40)[None] == expected[:, None], 0.0, -5.0) + np.linspace(0, 1, 40)[:, None]
    found = plans.to_permutation(plans.Plan(jnp.asarray(log, jnp.float32), jnp.asarray(True)))
    np.testing.assert_array_equal(found, expected)


def test_an_entropic_plan_keeps_its_marginals_to_a_hundredth_by_default():
    """Of a cost whose first look, after ten iterations, misses by more. Mutation: a tolerance of 1.01."""
    plan = plans.entropic(jax.random.uniform(jax.random.key(0), (64, 64)))
    missed = [np.abs(np.exp(np.asarray(plan.log, float)).sum(axis) - 1).mean() / 2 for axis in (0, 1)]
    assert plan.converged and max(missed) <= 0.01


def test_a_plan_that_did_not_converge_says_so_and_still_pairs():
    """In the flag, and in a warning outside jit and inside. Fails where the solver's word is dropped."""
    x_0, x_1, _ = moons(10)
    hasty = partial(plans.entropic, epsilon=0.001, tolerance=1e-3, max_iterations=1)
    assert not hasty(costs.squared(x_0, x_1)).converged
    assert not plans.annealed(costs.squared(x_0, x_1), epsilons=(0.01,), iterations=1).converged
    coupling = partial(couplings.sinkhorn, planner=hasty)
    for run in (coupling, jax.jit(coupling)):
        with pytest.warns(UserWarning, match="did not converge"):
            paired = run(jax.random.key(0), x_0, x_1)
            jax.effects_barrier()
        np.testing.assert_array_equal(rows(paired), rows(x_1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jax.block_until_ready(jax.jit(couplings.sinkhorn)(jax.random.key(0), x_0, x_1))
        jax.effects_barrier()


@pytest.mark.parametrize("n", [1, 2])
def test_the_smallest_batches_pair(n):
    x_0, x_1, labels = moons(11, n)
    for coupling in (couplings.assignment, couplings.sinkhorn):
        for cond in (None, labels, x_0):
            np.testing.assert_array_equal(rows(coupling(jax.random.key(9), x_0, x_1, cond)), rows(x_1))


def test_points_beyond_memory_are_refused_with_what_they_need():
    """Before anything is allocated: 50,000 points need 9.3 GiB."""
    points = jax.ShapeDtypeStruct((50_000, 2), jnp.float32)
    with pytest.raises(ValueError, match=r"50000 points need 9\.3 GiB"):
        jax.eval_shape(lambda x_0, x_1: couplings.sinkhorn(jax.random.key(9), x_0, x_1), points, points)


X = jnp.ones((4, 2))


@pytest.mark.parametrize(
    "make",
    [
        lambda: couplings.assignment(None, X, jnp.ones((5, 2))),
        lambda: couplings.sinkhorn(None, X, jnp.ones((4, 3))),
        lambda: costs.within_classes(X, X, None),
        lambda: costs.within_classes(X, X, jnp.zeros(3, jnp.int32)),
        lambda: couplings.near_condition(1.2),
        lambda: couplings.near_condition()(X, X, jnp.ones(3)),
        lambda: couplings.assignment(None, X, X, {"label": jnp.zeros(4)}),
        lambda: plans.annealed(jnp.ones((2, 2)), epsilons=(0.5, -0.1)),
        lambda: plans.annealed(jnp.ones((2, 2)), iterations=0),
        lambda: plans.entropic(jnp.ones((2, 2)), epsilon=0.0),
        lambda: plans.entropic(jnp.ones((2, 2)), max_iterations=0),
    ],
)
def test_impossible_requests_are_refused(unchecked, make):
    with pytest.raises(ValueError, match="got "):
        make()
