"""The flow-matching loss by its minimiser, its least value and its parts; dropout of conditions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close
from scipy import integrate

from ddjax import couplings, flows, mixtures, networks, objectives, schedules, scoring
from ddjax.data import toys

RECTIFIED = schedules.Rectified()
N = 20_000


def velocity_of(function):
    """A velocity of (x_t, t) alone, one example at a time, scaled by params."""
    return lambda params, key, x_t, t, cond: params * jax.vmap(function)(x_t, t)


@pytest.mark.parametrize("kind", [schedules.Rectified(), schedules.Cosine()], ids=lambda kind: type(kind).__name__)
def test_the_exact_velocity_is_the_minimiser(skewed, kind):
    """The derivative along scaled and shifted exact velocities is 0 within 4 standard errors, over 40 batches.

    Fails for the sign of the target, rates taken of the wrong schedule, or x_t and target from different pairs.
    """

    def velocity(params, key, x_t, t, cond):
        exact = jax.vmap(lambda x, t: skewed.velocity(kind, x, t))(x_t, t)
        return params["scale"] * exact + params["shift"]

    loss_fn = objectives.flow_matching(velocity, kind)
    params = {"scale": jnp.float32(1.0), "shift": jnp.zeros((1, 3))}

    @jax.jit
    def gradients(key):
        key_data, key_loss = jax.random.split(key)
        return jax.grad(lambda params: loss_fn(params, key_loss, skewed.sample(key_data, 500))[0])(params)

    found = jax.lax.map(gradients, jax.random.split(jax.random.key(0), 40))
    for leaf in jax.tree.leaves(found):
        error = leaf.std(0, ddof=1) / np.sqrt(40)
        assert (jnp.abs(leaf.mean(0)) < 4 * error).all()
        assert error.max() < 0.1


def test_the_least_loss_on_a_gaussian_is_its_integral():
    """E Var(x_1 - x_0 | x_t), the mean over elements: int (1 + l) - (t - (1 - t) l)^2 / ((1 - t)^2 l + t^2) dt.

    Fails for a sum over elements, or times that are not uniform.
    """
    variances = np.array([0.1, 0.5, 2.0])
    mixture = mixtures.GaussianMixture(np.ones(1), np.array([[1.0, -2.0, 0.3]]), np.diag(variances)[None])
    exact = velocity_of(lambda x, t: mixture.velocity(RECTIFIED, x, t))
    loss, metrics = jax.jit(objectives.flow_matching(exact, RECTIFIED))(
        jnp.float32(1.0), jax.random.key(1), mixture.sample(jax.random.key(0), N)
    )
    left = lambda t, l: 1 + l - (t - (1 - t) * l) ** 2 / ((1 - t) ** 2 * l + t**2)  # noqa: E731, E741
    expected = np.mean([integrate.quad(left, 0, 1, args=(variance,))[0] for variance in variances])
    assert abs(loss - expected) < 0.02 * expected
    close(metrics["loss"], loss)
    close(metrics["pair_cost"], np.mean(1 + variances + np.array([1.0, 4.0, 0.09])), rtol=0.05)


def test_state_and_target_come_from_the_coupled_pair():
    """With x_1 = x_0 every rectified x_t is x_0 and every target 0. Fails where one of them uses the first noise."""
    x_0 = jax.random.gamma(jax.random.key(0), 2.0, (50, 2, 3))
    seen = []

    def velocity(params, key, x_t, t, cond):
        seen.append(x_t)
        return jnp.zeros_like(x_t)

    loss_fn = objectives.flow_matching(velocity, RECTIFIED, coupling=lambda key, x_0, x_1, cond=None: x_0)
    loss, metrics = loss_fn(None, jax.random.key(1), x_0)
    close(seen[0], x_0, rtol=1e-5)
    assert loss < 1e-12
    assert metrics["pair_cost"] == 0


def test_the_coupling_sees_the_condition():
    """At t = 1 the network sees the noise itself: standard normal within a class, unless the coupling is blind."""
    data = toys.two_moons(jax.random.key(0), 512)
    leans = {}
    for name, coupling in (("aware", couplings.sinkhorn), ("blind", couplings.blind(couplings.sinkhorn))):
        seen = []

        def velocity(params, key, x_t, t, cond, seen=seen):
            seen.append((x_t, cond))
            return x_t

        objectives.flow_matching(velocity, RECTIFIED, times=lambda key, n: jnp.ones(n), coupling=coupling)(
            None, jax.random.key(1), data
        )
        x_1, labels = seen[0]
        np.testing.assert_array_equal(labels, data.cond)
        leans[name] = float(jnp.abs(x_1[labels == 0].mean(0)).max())
    assert leans["aware"] < 4 / np.sqrt(256) < 0.4 < leans["blind"]


def test_weights_are_for_examples():
    """w(t) = t on errors that grow with t: E[t t^2] = 1/4, not E[t] E[t^2] = 1/6 (trap 3)."""
    zero_data = jnp.zeros((N, 1))
    off = lambda params, key, x_t, t, cond: x_t / t[:, None] + t[:, None]  # noqa: E731  (x_t = t x_1: target + t)
    loss_fn = objectives.flow_matching(off, RECTIFIED, weight=lambda t: t)
    loss, _ = jax.jit(loss_fn)(None, jax.random.key(0), zero_data)
    assert abs(loss - 0.25) < 4 * np.sqrt((1 / 7 - 1 / 16) / N)


@pytest.mark.parametrize("predicts", ["x0", "noise", "v", "velocity", "score"])
def test_every_kind_is_finite_at_times_of_exactly_0_and_1(predicts):
    """Laws of t reach both ends in float32. Fails for 0/0 in one example, which would end a training run."""
    network = networks.mlp(2, width=8, depth=1, inject=None)
    params = network.init(jax.random.key(0))
    velocity = flows.network_velocity(network, RECTIFIED, predicts=predicts)
    ends = lambda key, n: jnp.arange(n, dtype=float) % 2  # noqa: E731
    loss_fn = objectives.flow_matching(velocity, RECTIFIED, times=ends)
    value = jax.value_and_grad(loss_fn, has_aux=True)(params, jax.random.key(1), jnp.ones((4, 2)))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(value))


def seen_through_dropout(cond, **settings):
    """The condition that reaches a loss."""
    seen = []

    def loss_fn(params, key, batch):
        seen.append(batch[1])
        return jnp.float32(0.0), {}

    batch = (jnp.zeros((len(jax.tree.leaves(cond)[0]), 2)), cond)
    objectives.condition_dropout(loss_fn, **settings)(None, jax.random.key(0), batch)
    return seen[0]


def test_dropout_replaces_the_condition_of_whole_examples():
    """With its frequency, all leaves of an example together. Fails for elements dropped one by one, or the complement."""
    cond = {"label": jnp.full(N, 3, jnp.int32), "vector": jnp.ones((N, 4))}
    null = {"label": 10, "vector": np.array([0.0, -1.0, -2.0, -3.0])}
    seen = seen_through_dropout(cond, probability=0.2, null=null)
    dropped = np.asarray(seen["label"] == 10)
    assert abs(dropped.mean() - 0.2) < 4 * np.sqrt(0.16 / N)
    assert set(np.unique(seen["label"])) == {3, 10}
    np.testing.assert_array_equal(seen["vector"][dropped], np.tile(null["vector"], (dropped.sum(), 1)))
    assert (seen["vector"][~dropped] == 1).all()


def test_dropout_of_nothing_and_of_everything():
    labels = jnp.arange(6, dtype=jnp.int32)
    for probability, expected in ((0.0, labels), (1.0, jnp.full(6, 9))):
        np.testing.assert_array_equal(seen_through_dropout(labels, probability=probability, null=9), expected)


def test_dropout_spares_the_population_and_serves_any_loss():
    """All members of a population see one condition: with xi unused, the interaction is exactly 0."""
    denoiser = lambda params, key, x_t, t, cond: cond[:, None] * jnp.ones_like(x_t)  # noqa: E731
    plain = objectives.distributional(denoiser, RECTIFIED, score=scoring.Energy(), size=4)
    loss_fn = objectives.condition_dropout(plain, probability=0.5, null=5.0)
    _, metrics = loss_fn(None, jax.random.key(0), (jnp.zeros((200, 1)), jnp.zeros(200)))
    assert metrics["interaction"] == 0
    assert 0.3 < metrics["confinement"] / 5 < 0.7


def test_dropped_labels_are_a_class_of_their_own_to_the_coupling():
    """Noise of the unlabelled and of each class stays their own. Fails for dropout after a coupling by labels."""
    data = toys.two_moons(jax.random.key(0), 300)
    seen = []

    def coupling(key, x_0, x_1, cond=None):
        seen.append((x_1, couplings.assignment(key, x_0, x_1, cond), cond))
        return seen[0][1]

    velocity = lambda params, key, x_t, t, cond: x_t  # noqa: E731
    plain = objectives.flow_matching(velocity, RECTIFIED, coupling=coupling)
    objectives.condition_dropout(plain, probability=0.3, null=2)(None, jax.random.key(1), data)
    noise, paired, labels = (np.asarray(leaf) for leaf in seen[0])
    assert set(labels) == {0, 1, 2}
    for label in (0, 1, 2):
        mine = labels == label
        np.testing.assert_array_equal(np.sort(noise[mine], 0), np.sort(paired[mine], 0))


@pytest.mark.parametrize(
    "make",
    [
        lambda: objectives.condition_dropout(lambda *given: None, probability=1.2, null=0),
        lambda: objectives.condition_dropout(lambda *given: None, probability=0.1, null=0)(
            None, None, jnp.ones((3, 2))
        ),
    ],
)
def test_impossible_requests_are_refused(unchecked, make):
    with pytest.raises(ValueError, match="got "):
        make()


def test_the_prior_is_where_the_flow_starts():
    """With x_0 = 0 and x_1 from N(3, 1), the loss of the zero velocity is E x_1^2 = 10 in each element. Fails for N(0, I)."""

    def prior(key, shape):
        return 3 + jax.random.normal(key, shape)

    loss_fn = objectives.flow_matching(velocity_of(lambda x, t: x), RECTIFIED, prior=prior)
    loss, found = jax.jit(loss_fn)(jnp.float32(0.0), jax.random.key(0), jnp.zeros((N, 2)))
    close([loss, found["pair_cost"]], 10.0, atol=4 * np.sqrt(38 / (2 * N)))
