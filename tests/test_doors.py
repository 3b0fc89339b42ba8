"""A user's own functions and arrays, right and wrong: what is natural is accepted, and what is wrong is told in one sentence."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from ddjax import denoisers, flows, networks, objectives, samplers, schedules, scoring, times, training
from ddjax.types import Network

SCHEDULE = schedules.Rectified()
X = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)


def network(answer):
    """A Network without parameters that answers so."""
    apply = lambda params, x_t, t, cond, xi: answer(x_t if xi is None else x_t + xi)  # noqa: E731
    return Network(lambda key: None, networks.repeating(apply))


GOOD, COLUMN, FLAT = network(lambda x: x), network(lambda x: x[:, :1]), network(lambda x: x.reshape(-1))
ONE_NUMBER = network(lambda x: jnp.float32(1.0))
PAIR = network(lambda x: (x, x))


def distributional(denoiser=None, **settings):
    denoiser = denoisers.distributional(GOOD, SCHEDULE) if denoiser is None else denoiser
    return objectives.distributional(denoiser, SCHEDULE, size=2, **settings)


def loss_of(loss_fn, batch=X):
    return loss_fn(None, jax.random.key(0), batch)


def sampled(step, x_1=X):
    return samplers.sample(step, jax.random.key(0), x_1, times.grid(2))


def user(value):
    """A denoiser or velocity of one's own that returns this."""
    return lambda params, key, x_t, t, cond=None: value


WRONG = {
    # networks and denoisers
    **{
        f"{kind} of {name}": (lambda make=make, net=net: loss_of(make(net)), "must return an array of shape")
        for kind, make in {
            "regression": lambda net: objectives.denoising(denoisers.mean(net, SCHEDULE), SCHEDULE),
            "draws": lambda net: distributional(denoisers.distributional(net, SCHEDULE)),
            "folded draws": lambda net: distributional(
                denoisers.distributional(net, SCHEDULE), population=denoisers.folded_population
            ),
            "velocity": lambda net: objectives.flow_matching(flows.network_velocity(net, SCHEDULE), SCHEDULE),
        }.items()
        for name, net in {"a column": COLUMN, "flat": FLAT, "a number": ONE_NUMBER, "a pair": PAIR}.items()
    },
    "own denoiser": (lambda: loss_of(distributional(user(X[:, :1]))), "a population of draws must return"),
    "own velocity": (lambda: loss_of(objectives.flow_matching(user(X[:, :1]), SCHEDULE)), "a velocity must return"),
    "own coupling": (
        lambda: loss_of(
            objectives.flow_matching(
                flows.network_velocity(GOOD, SCHEDULE), SCHEDULE, coupling=lambda key, x_0, x_1, cond: x_1[:3]
            )
        ),
        "a coupling must return",
    ),
    "own law": (lambda: loss_of(distributional(times=lambda key, n: jnp.float32(0.5))), "a law of times must return"),
    "sampled denoiser": (lambda: sampled(samplers.bridge(lambda key, x, t: x[:, :1], SCHEDULE)), "a denoiser must"),
    "sampled field": (lambda: sampled(flows.heun(lambda key, x, t: x[:, :1])), "a field must return"),
    "own step": (lambda: sampled(lambda key, x, t, s: x[:, :1]), "a step must return"),
    "solved field": (
        lambda: flows.integrate(lambda key, x, t: x[:, :1], jax.random.key(0), jnp.asarray(X)),
        "a field must return",
    ),
    # rules
    "rule of a vector": (lambda: loss_of(distributional(score=lambda draws, x_0, t: draws[0])), "a rule, for one"),
    "rule of a tuple": (lambda: loss_of(distributional(score=lambda draws, x_0, t: (t, t))), "a rule, for one"),
    # batches
    "batch of a generator": (lambda: loss_of(distributional(), (x for x in X)), "a batch is an array .* got generator"),
    "batch of a list": (lambda: loss_of(distributional(), [X, X]), "a batch is an array .* got list"),
    "batch of a dict": (lambda: loss_of(distributional(), {"x": X}), "a batch is an array .* got dict"),
    "batch of three": (lambda: loss_of(distributional(), (X, X, X)), "a batch is an array .* got a tuple of 3"),
    "batch of pixels": (lambda: loss_of(distributional(), X.astype(np.uint8)), "data are floating.* got uint8"),
    "batch of a number": (lambda: loss_of(distributional(), jnp.float32(1.0)), "a batch is an array"),
    "start in pixels": (
        lambda: sampled(samplers.bridge(lambda key, x, t: x, SCHEDULE), X.astype(np.uint8)),
        "floating",
    ),
    # conditions
    "condition of another batch": (
        lambda: flows.integrate(lambda key, x, t, cond: x, jax.random.key(0), jnp.asarray(X), cond=jnp.ones(4)),
        "an entry for each of the 6",
    ),
    "density under another batch": (
        lambda: flows.log_density(
            lambda key, x, t, cond: x, SCHEDULE, jax.random.key(0), jnp.asarray(X), cond=jnp.ones((4, 2))
        ),
        "an entry for each of the 6",
    ),
    # NNX
    "a class of NNX": (lambda: networks.from_nnx(Net), "a function key -> module"),
    "a module of NNX": (lambda: networks.from_nnx(Net(nnx.Rngs(0))), "a function key -> module"),
    "no module": (lambda: networks.from_nnx(lambda key: 3), "a function key -> module"),
    "too few arguments": (lambda: networks.from_nnx(lambda key: nnx.Linear(2, 2, rngs=nnx.Rngs(key))), "four|x_t, t"),
    "dropout of NNX": (lambda: networks.from_nnx(lambda key: Stateful(nnx.Rngs(key))), "keeps state in .*drop"),
}


class Net(nnx.Module):
    """The example of `networks.from_nnx`."""

    def __init__(self, rngs):
        self.hidden, self.out = nnx.Linear(5, 64, rngs=rngs), nnx.Linear(64, 2, rngs=rngs)

    def __call__(self, x_t, t, cond, xi):
        return self.out(nnx.silu(self.hidden(jnp.concatenate([x_t, t[:, None], xi], -1))))


class Stateful(Net):
    """With dropout, which keeps a key."""

    def __init__(self, rngs):
        super().__init__(rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)


@pytest.mark.parametrize("name", WRONG)
def test_mistakes_are_told_by_what_was_expected(unchecked, name):
    """ValueError with the sentence, also where jax would broadcast in silence. Fails for a door left open."""
    call, says = WRONG[name]
    with jax.numpy_rank_promotion("allow"), pytest.raises(ValueError, match=says):
        call()


def test_a_rule_may_return_its_score_alone():
    """The squared error written by hand is the energy rule at beta 2, lam 0. Fails where `.score` is asked of it."""
    by_hand = lambda draws, x_0, t: jnp.mean(jnp.sum((draws - x_0[None]) ** 2, -1))  # noqa: E731
    loss, metrics = loss_of(distributional(score=by_hand))
    expected, _ = loss_of(distributional(score=scoring.Energy(beta=2.0, lam=0.0)))
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    assert set(metrics) == {"loss"}


def test_numpy_data_are_data():
    """An array of NumPy, alone and with labels, gives the loss of the same on the device."""
    for loss_fn in (distributional(), objectives.flow_matching(flows.network_velocity(GOOD, SCHEDULE), SCHEDULE)):
        np.testing.assert_array_equal(loss_of(loss_fn, X)[0], loss_of(loss_fn, jnp.asarray(X))[0])
        np.testing.assert_array_equal(loss_of(loss_fn, (X, np.arange(6)))[0], loss_of(loss_fn, X)[0])


def test_an_nnx_module_trains_as_in_its_docstring():
    """200 steps on one point far off halve the loss and more; draws then lie near it. Fails where a gradient is lost."""
    network = networks.from_nnx(lambda key: Net(nnx.Rngs(key)))
    denoiser = denoisers.distributional(network, SCHEDULE)
    loss_fn = objectives.distributional(denoiser, SCHEDULE, size=2)
    optimizer = optax.adam(1e-2)
    train_step = jax.jit(training.make_train_step(loss_fn, optimizer, ema_decay=0.9))
    state = training.TrainState.create(network.init(jax.random.key(0)), optimizer, jax.random.key(1))
    data = jnp.tile(jnp.array([[3.0, -2.0]]), (64, 1))
    losses = []
    for _ in range(200):
        state, told = train_step(state, data)
        losses.append(float(told["loss"]))
    assert np.mean(losses[-20:]) < 0.2 * np.mean(losses[:5])
    step = samplers.bridge(denoisers.bind(denoiser, state.ema), SCHEDULE)
    x_0 = samplers.sample(step, jax.random.key(2), jax.random.normal(jax.random.key(3), (100, 2)), times.grid(4))
    np.testing.assert_allclose(x_0.mean(0), [3.0, -2.0], atol=0.3)


def test_labels_out_of_range_are_told_or_not_a_number():
    """Known: ValueError. Traced, as inside the compiled loop of a sampler: NaN for that example alone, never the null class."""
    bare = Network(lambda key: None, lambda params, x_t, t, cond, xi: x_t + cond.sum(1, keepdims=True))
    velocity = flows.network_velocity(networks.labelled(bare, 3), SCHEDULE)
    labels = jnp.array([0, 2, 3, 4, -1, 1], jnp.int32)
    with pytest.raises(ValueError, match="labels are"):
        velocity(None, jax.random.key(0), jnp.asarray(X), jnp.full(6, 0.5), labels)
    found = sampled(flows.euler(denoisers.bind(velocity, None, labels)), jnp.asarray(X))
    np.testing.assert_array_equal(np.isnan(found).any(1), [False, False, False, True, True, False])


def test_each_example_is_solved_under_its_own_condition():
    """dx/dt = -c x: x e^c and log N(x e^-c) - c d, each with its c. Fails where one condition serves the batch."""
    field = denoisers.bind(lambda params, key, x, t, cond: params * cond["c"][:, None] * x, jnp.float32(-1.0))
    x, cond = jnp.asarray(X[:3]), {"c": jnp.array([0.2, 0.5, 1.0])}
    found = flows.integrate(field, jax.random.key(0), x, cond=cond)
    np.testing.assert_allclose(found.x, x * jnp.exp(cond["c"])[:, None], rtol=1e-4)
    likelihood = flows.log_density(field, SCHEDULE, jax.random.key(0), x, cond=cond)
    expected = jax.scipy.stats.norm.logpdf(x * jnp.exp(-cond["c"])[:, None]).sum(1) - 2 * cond["c"]
    np.testing.assert_allclose(likelihood.log_prob, expected, atol=1e-3)


def test_a_density_starts_where_it_is_told():
    """dx/dt = x / 2 from t = .25 to 1 adds 2 (.75 / 2). Fails where the start is ignored."""
    x = jnp.asarray(X[:3])
    found = flows.log_density(lambda key, x, t: x / 2, SCHEDULE, jax.random.key(0), x, start=0.25)
    np.testing.assert_allclose(found.x_1, x * np.exp(0.375), rtol=1e-4)
    expected = jax.scipy.stats.norm.logpdf(x * np.exp(0.375)).sum(1) + 0.75
    np.testing.assert_allclose(found.log_prob, expected, atol=1e-3)


def test_more_probes_spread_less():
    """The estimate of a trace has variance 2 |off-diagonal of the symmetric part|^2 2 / p. Fails for one probe of many."""
    matrix = jnp.array([[0.5, 2.0, -1.0], [0.3, -1.2, 0.8], [1.5, 0.1, 0.9]])
    symmetric = np.asarray(matrix + matrix.T) / 2
    variance = 2 * (symmetric**2).sum() - 2 * (np.diag(symmetric) ** 2).sum()
    for probes in (1, 4, 16):
        keys = jax.random.split(jax.random.key(probes), 4000)
        divergence = flows.hutchinson(probes)
        found = jax.vmap(lambda key, divergence=divergence: divergence(lambda x: matrix @ x, key, jnp.ones(3))[1])(keys)
        assert abs(found.var() / (variance / probes) - 1) < 0.2


def test_what_did_not_converge_is_not_a_number():
    """Too few steps, or a field that is not finite: NaN beside `converged` False, and the others untouched."""
    x = jnp.array([[1.0], [0.0], [2.0]])
    blows_up = lambda key, x, t: jnp.where(x == 0, jnp.nan, -x)  # noqa: E731
    with pytest.warns(UserWarning, match="1 of 3"):
        found = flows.integrate(blows_up, jax.random.key(0), x, max_steps=64)
    np.testing.assert_array_equal(np.isnan(found.x[:, 0]), [False, True, False])
    with pytest.warns(UserWarning, match="3 of 3"):
        likelihood = flows.log_density(lambda key, x, t: -50 * x, SCHEDULE, jax.random.key(0), x, max_steps=2)
    assert np.isnan(likelihood.log_prob).all()
