"""Transport as a term of the loss: zero at the truth for draws alone, within classes, and in proportion to the loss."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose as close
from scipy.spatial.distance import pdist

from ddjax import mixtures, objectives, schedules, training, transport
from ddjax.objectives import transports
from ddjax.types import Network

SCHEDULE = schedules.Rectified()
AT = lambda t: lambda key, n: jnp.full(n, t)  # noqa: E731


def scaled(params, key, x_t, t, cond=None):
    """A denoiser that takes no notice of xi."""
    return params * x_t + t[:, None]


def test_draws_from_the_posterior_have_no_gap_and_its_mean_has():
    """Skewed Gaussian, t = .8, n = 512: the law of x_0 against draws of it, and against the mean, whose std is a quarter.

    Mutation: the mean of several draws in place of one.
    """
    mixture = mixtures.GaussianMixture(np.ones(1), np.array([[2.0, -1.0]]), np.array([[[1.0, 0.4], [0.4, 0.5]]]))
    batches = jax.vmap(lambda key: mixture.sample(key, 512))(jax.random.split(jax.random.key(0), 4))
    gaps = {}
    for name, oracle in (("draw", mixtures.oracle), ("mean", mixtures.mean_oracle)):
        term = objectives.sinkhorn_term(oracle(mixture, SCHEDULE), SCHEDULE, blur=0.1, times=AT(0.8), iterations=1000)
        each = jax.jit(lambda batch, term=term: term(None, jax.random.key(1), batch))
        told = [each(batch)[1] for batch in batches]
        assert all(metrics["converged"] == 1 for metrics in told)
        gaps[name] = np.mean([metrics["transport"] for metrics in told])
    floor = np.mean(
        [transport.sinkhorn_blocked(a, b, blur=0.1).divergence for a, b in zip(batches[:2], batches[2:], strict=True)]
    )
    assert gaps["mean"] > 10 * gaps["draw"] and gaps["draw"] < 1.5 * floor


@pytest.mark.parametrize("relative", [False, True])
def test_the_term_is_the_divergence_of_features_of_the_same_draws(relative):
    """By hand, with the keys split again. Mutations: alpha and sigma exchanged; blur in units of all distances, those to
    oneself included; features of one side only.
    """
    x_0 = jnp.asarray(np.random.default_rng(0).normal(size=(41, 3)), jnp.float32)
    features = lambda x: x @ jnp.asarray([[1.0, 0.2], [0.0, 2.0], [-1.0, 0.3]])  # noqa: E731
    told = {"blur": 0.3, "relative": relative, "features": features, "times": AT(0.25), "solver": "dense"}
    term = objectives.sinkhorn_term(scaled, SCHEDULE, iterations=5000, **told)
    value, _ = term(0.7, jax.random.key(3), x_0)
    noise = jax.random.normal(jax.random.split(jax.random.key(3), 3)[1], x_0.shape)
    fake, real = features(0.7 * (0.75 * x_0 + 0.25 * noise) + 0.25), features(x_0)
    unit = np.median(pdist(np.asarray(real, np.float64))) if relative else 1.0
    close(value, transport.sinkhorn_divergence(fake, real, blur=0.3 * unit), rtol=1e-4)


@pytest.mark.parametrize("solver", ["dense", "blocked"])
def test_a_solver_that_is_cut_short_says_so(solver):
    """Few iterations leave the flag at 0, many set it. Mutation: a budget that never reaches the solver."""
    x_0 = jnp.asarray(np.random.default_rng(0).normal(size=(41, 3)), jnp.float32)
    for iterations, flag in ((10, 0), (5000, 1)):
        term = objectives.sinkhorn_term(
            scaled, SCHEDULE, blur=0.3, times=AT(0.25), solver=solver, iterations=iterations
        )
        assert term(0.7, jax.random.key(3), x_0)[1]["converged"] == flag


def test_no_mass_moves_from_class_to_class():
    """The mean by size of each class's own divergence. Fails for labels that are not far enough, or of one side."""
    draw = np.random.default_rng(1)
    labels = np.array([0] * 20 + [1] * 40)
    fake, real = (
        jnp.asarray(draw.normal(size=(60, 2)) + shift * labels[:, None], jnp.float32) for shift in (-2.0, 2.0)
    )
    far = transports.within_classes(fake, real, jnp.asarray(labels), 2)
    own = [float(transport.sinkhorn_divergence(fake[labels == c], real[labels == c], blur=0.4)) for c in (0, 1)]
    for solver in ("dense", "blocked"):
        found = transport.sinkhorn_divergence(*far, blur=0.4, solver=solver)
        close(found, (own[0] + 2 * own[1]) / 3, rtol=2e-3)
    assert transport.sinkhorn_divergence(fake, real, blur=0.4) < 0.7 * found


@pytest.mark.parametrize("solver", ["dense", "blocked"])
def test_a_term_within_classes_converges_as_one_without(solver):
    """Three classes at .3 of the median distance, far from the origin too. Mutation: classes so far apart that float32
    rounds their marginals by more than the tolerance."""
    draw, labels = np.random.default_rng(1), jnp.arange(60) % 3
    for centre in (0.0, 30.0):
        x_0 = jnp.asarray(draw.normal(size=(60, 2)) + centre + 4 * (np.arange(60) % 3 == 1)[:, None], jnp.float32)
        term = objectives.sinkhorn_term(
            scaled, SCHEDULE, blur=0.3, relative=True, classes=3, times=AT(0.25), solver=solver, iterations=1000
        )
        assert term(1.0, jax.random.key(3), (x_0, labels))[1]["converged"] == 1


def test_free_points_go_where_the_data_are():
    """256 of them, to a hundredth of the start in 20 steps: the gradient of S is (x - where x belongs) / n."""
    real = jnp.asarray(np.random.default_rng(2).normal(size=(256, 2)) * [1.0, 0.3] + [3.0, 0.0], jnp.float32)
    free = lambda points, key, x_t, t, cond: points  # noqa: E731
    term = objectives.sinkhorn_term(free, SCHEDULE, blur=0.1)
    step = jax.jit(lambda points: jax.value_and_grad(lambda p: term(p, jax.random.key(0), real)[0])(points))
    points = jnp.asarray(np.random.default_rng(3).normal(size=(256, 2)), jnp.float32)
    start = step(points)[0]
    for _ in range(20):
        points = points - 256 * 0.7 * step(points)[1]
    assert step(points)[0] < 0.01 * start


NETWORK = objectives.with_ratio(Network(lambda key: jnp.full(2, 2.0), lambda params, x, t, cond, xi: params * x))


def loss_fn(params, key, batch):
    loss = jnp.sum(params["network"] ** 2)
    return loss, {"loss": loss}


def term(params, key, batch):
    value = 0.1 * jnp.sum(params["network"] ** 4) + batch
    return value, {"transport": value}


def test_the_ratio_is_a_moving_average_and_the_weight_has_no_gradient():
    """Three steps of both, written out. At decay 0 the weighted term is lam times the loss of the step before.

    Mutations: a gradient through the weight; 1 - decay for decay; the descent of r in the value; lam inside the average.
    """
    lam, decay, rate = 0.5, 0.75, 0.01
    optimizer = objectives.descend_ratio(optax.sgd(rate), decay=decay)
    train_step = training.make_train_step(objectives.balanced(loss_fn, term, lam=lam), optimizer)
    state = training.TrainState.create(NETWORK.init(jax.random.key(0)), optimizer, jax.random.key(1))
    p, r = np.full(2, 2.0), 1.0
    for _ in range(3):
        state, metrics = jax.jit(train_step)(state, jnp.asarray(0.3))
        regression, transported = (p**2).sum(), 0.1 * (p**4).sum() + 0.3
        close(metrics["regression"], regression, rtol=1e-5)
        close(metrics["loss"], regression + lam * r * transported, rtol=1e-5)
        close(metrics["weight"], lam * r, rtol=1e-5)
        p, r = p - rate * (2 * p + lam * r * 0.4 * p**3), decay * r + (1 - decay) * regression / transported
    close(state.params["network"], p, rtol=1e-5)
    close(state.params["ratio"], r, rtol=1e-5)


@pytest.mark.parametrize("value", [0.0, -1.0, 1e-30])
def test_a_term_that_vanishes_leaves_all_finite(value):
    """The ratio moves to its bound. Mutation: no tau, which turns the sign or divides by zero."""
    nothing = lambda params, key, batch: (value + 0 * jnp.sum(params["network"]), {})  # noqa: E731
    balanced = objectives.balanced(loss_fn, nothing, highest=7.0)
    grads = jax.grad(lambda params: balanced(params, jax.random.key(0), None)[0])(NETWORK.init(jax.random.key(0)))
    close(grads["ratio"], 1.0 - 7.0)
    close(grads["network"], [4.0, 4.0])


def test_a_phase_begins_where_the_last_one_ended():
    """lam = 0 is the loss alone, over the same parameters and the same state of Adam, which goes on counting."""
    optimizer = objectives.descend_ratio(optax.adam(1e-2))
    state = training.TrainState.create(NETWORK.init(jax.random.key(0)), optimizer, jax.random.key(1))
    for lam in (0.0, 0.0, 1.0):
        state, metrics = training.make_train_step(objectives.balanced(loss_fn, term, lam=lam), optimizer)(state, 0.3)
        assert ("transport" in metrics) == (lam > 0)
    counts = [leaf for leaf in jax.tree.leaves(state.opt_state) if leaf.dtype == jnp.int32]
    assert counts and all(count == 3 for count in counts)


@pytest.mark.parametrize(
    "make",
    [
        lambda: objectives.sinkhorn_term(scaled, SCHEDULE, blur=0.0),
        lambda: objectives.sinkhorn_term(scaled, SCHEDULE, blur=1.0, solver="exact"),
        lambda: objectives.sinkhorn_term(scaled, SCHEDULE, blur=1.0)(1.0, jax.random.key(0), jnp.ones((1, 2))),
        lambda: objectives.sinkhorn_term(scaled, SCHEDULE, blur=1.0, classes=2)(
            1.0, jax.random.key(0), jnp.ones((4, 2))
        ),
        lambda: objectives.balanced(loss_fn, term, lam=-1.0),
        lambda: objectives.balanced(loss_fn, term, tau=0.0),
        lambda: objectives.descend_ratio(optax.sgd(1.0), decay=1.0),
    ],
)
def test_what_cannot_be_is_refused(unchecked, make):
    with pytest.raises(ValueError, match="got "):
        make()
