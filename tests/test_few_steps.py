"""Consistency and mean flows at the exact maps of a Gaussian, where loss, gradient and bias are known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose as close

from ddjax import denoisers, flows, networks, objectives, paths, samplers, schedules, times
from ddjax.types import Batch

SCHEDULE = schedules.Rectified()
MU, S = 1.5, 0.5
N = 40_000


def spread(t):
    return jnp.sqrt((1 - t) ** 2 * S**2 + t**2)


def flow_map(x_t, t, r):
    """x_r on the flow through x_t, of data N(mu, S^2)."""
    return (1 - r) * MU + spread(r) / spread(t) * (x_t - (1 - t) * MU)


def exact_f(params, key, x_t, t, cond=None):
    """The end of the flow, tilted by the parameter: d f / d params = x_t."""
    return flow_map(x_t, t[:, None], 0.0) + params * x_t


def exact_u(params, key, x_t, t, r, cond=None):
    """The average velocity, with the velocity as its limit at r = t; in the parameter it is tilted by x_t."""
    t, r = t[:, None], r[:, None]
    apart = jnp.where(t > r, t - r, 1.0)
    slope = (t - (1 - t) * S**2) / spread(t) ** 2
    velocity = -MU + slope * (x_t - (1 - t) * MU)
    return jnp.where(t > r, (x_t - flow_map(x_t, t, r)) / apart, velocity) + params * x_t


def data(key, n=N):
    return MU + S * jax.random.normal(key, (n, 1))


def at(*chosen):
    """A law that hands out the given times, one at each call."""
    left = list(chosen)
    return lambda key, n: jnp.full(n, left.pop(0))


def unweighted(loss_fn, params=0.0, seed=0):
    return loss_fn(jnp.float32(params), jax.random.key(seed), data(jax.random.key(100 + seed)))[1]


def test_the_maps_used_here_are_the_flow():
    """The flow map composes, its derivative in time is the velocity, and the average velocity is its chord."""
    x = jnp.array([[0.3], [-2.0]])
    close(flow_map(flow_map(x, 0.9, 0.4), 0.4, 0.1), flow_map(x, 0.9, 0.1), rtol=1e-5)
    t = jnp.full(2, 0.7)
    _, velocity = jax.jvp(lambda r: flow_map(x, 0.7, r), (0.7,), (1.0,))
    close(exact_u(0.0, None, x, t, t), velocity, rtol=1e-5)


@pytest.mark.parametrize("gap", [0.3, lambda t: 0.3])
def test_consistency_at_the_exact_map(gap):
    """2 S^2 (1 - cos(theta_t - theta_q)), within 4 standard errors. Mutation: another noise at q."""
    t, q = 0.8, 0.5
    theta = [np.arctan2(t, (1 - t) * S) for t in (t, q)]
    loss_fn = objectives.consistency(exact_f, SCHEDULE, times=lambda key, n: jnp.full(n, t), gap=gap)
    expected = 2 * S**2 * (1 - np.cos(theta[0] - theta[1]))
    close(unweighted(loss_fn)["loss"], expected, rtol=4 * np.sqrt(2 / N))  # the square of a Gaussian


def test_consistency_below_the_gap_is_regression_on_the_data():
    """q stops at 0, where f is the identity: the loss is that of x_0 against the end of the flow. Mutation: q = t - gap < 0."""
    loss_fn = objectives.consistency(exact_f, SCHEDULE, times=lambda key, n: jnp.full(n, 0.1), gap=0.3)
    theta = np.arctan2(0.1, 0.9 * S)
    close(unweighted(loss_fn)["loss"], 2 * S**2 * (1 - np.cos(theta)), rtol=4 * np.sqrt(2 / N))


@pytest.mark.parametrize("gap", [0.4, 0.1])
def test_the_bias_of_consistency_is_of_second_order_in_the_gap(gap):
    """The gradient at the exact map is 2 S s_t (1 - cos(theta_t - theta_q)), within 4 standard errors, and not 0.

    Mutation: the gradient runs through the target too.
    """
    t = 0.7

    @jax.jit
    def one(key):
        key_data, key_loss = jax.random.split(key)
        loss_fn = objectives.consistency(exact_f, SCHEDULE, times=lambda key, n: jnp.full(n, t), gap=gap)
        return jax.grad(lambda p: loss_fn(p, key_loss, data(key_data, 10_000))[0])(0.0)

    found = np.asarray(jax.lax.map(one, jax.random.split(jax.random.key(3), 100)))
    turned = np.arctan2(t, (1 - t) * S) - np.arctan2(t - gap, (1 - t + gap) * S)
    error = found.std() / np.sqrt(len(found))
    expected = 2 * S * float(spread(t)) * (1 - np.cos(turned))
    assert abs(found.mean() - expected) < 4 * error < expected / 4


def test_hubers_distance():
    """sqrt(d^2 + c^2) - c of the norms of the same differences; near 0 it is d^2 / (2 c), with a gradient."""
    apart = lambda params, key, x_t, t, cond: jnp.where(t[:, None] > 0.45, params, 0.0) * jnp.ones_like(x_t)  # noqa: E731
    loss = lambda c: objectives.consistency(  # noqa: E731
        apart, SCHEDULE, times=lambda key, n: jnp.full(n, 0.5), gap=0.1, huber=c
    )
    batch = jnp.zeros((4, 3))
    distance = np.sqrt(3) * 2.0
    close(loss(0.7)(2.0, jax.random.key(0), batch)[0], np.hypot(distance, 0.7) - 0.7, rtol=1e-5)
    gradient = jax.grad(lambda p: loss(0.7)(p, jax.random.key(0), batch)[0])
    close(gradient(1e-3), 3e-3 / 0.7, rtol=1e-3)
    assert gradient(0.0) == 0


def test_a_velocity_net_is_the_identity_at_no_noise():
    """For which f(x, 0) = x, as consistency wants, whatever the parameters."""
    network = networks.mlp(2, width=8, depth=1, inject=None)
    f = denoisers.mean(network, SCHEDULE, predicts="velocity")
    x = jnp.array([[0.3, -1.0]])
    close(f(network.init(jax.random.key(0)), jax.random.key(1), x, jnp.zeros(1), None), x, rtol=1e-6)


@pytest.mark.parametrize(("improved", "floor"), [(False, S**2 * (0.49 * S**2 + 0.09)), (True, S**2)])
def test_mean_flow_at_the_exact_map(improved, floor):
    """S^2 s_r^2 / s_t^4 at t = .8, r = .3, and S^2 / s_t^2 of the improvement.

    Mutations: a tangent (v, 1, 1), the sign of (t - r), times exchanged, the predicted velocity as tangent in the plain one.
    """
    s_t = float(spread(0.8))
    expected = floor / s_t**2 if improved else floor / s_t**4
    loss_fn = objectives.mean_flow(exact_u, SCHEDULE, times=at(0.3, 0.8), equal=0.0, power=0.0, improved=improved)
    told = unweighted(loss_fn)
    close(told["unweighted"], expected, rtol=4 * np.sqrt(2 / N))
    assert told["loss"] == told["unweighted"]
    if not improved:
        close(expected, 0.1257, atol=1e-4)


@pytest.mark.parametrize("improved", [False, True])
def test_the_target_of_mean_flow_is_unbiased(improved):
    """At the exact map the gradient is 0 within 4 standard errors, and not at a map off by .1.

    Mutation: the gradient runs through du.
    """
    loss_fn = objectives.mean_flow(exact_u, SCHEDULE, equal=0.25, power=0.0, improved=improved)

    @jax.jit
    def gradients(params):
        def one(key):
            key_data, key_loss = jax.random.split(key)
            x_0 = data(key_data, 2000)
            return jax.grad(lambda p: loss_fn(p, key_loss, x_0)[0])(params)

        return jax.lax.map(one, jax.random.split(jax.random.key(4), 200))

    def sigmas(params):
        g = np.asarray(gradients(jnp.float32(params)))
        return abs(g.mean()) / (g.std() / np.sqrt(len(g)))

    assert sigmas(0.0) < 4
    assert sigmas(0.1) > 20


def test_equal_times_are_flow_matching():
    """At r = t both losses are the mean square of u - v. Mutation: the share is that of unequal times."""
    x_0 = data(jax.random.key(1), 64)
    law = lambda key, n: times.uniform(jax.random.key(7), n)  # noqa: E731 (the same at each call)
    values = [
        objectives.mean_flow(exact_u, SCHEDULE, times=law, equal=1.0, power=0.0, improved=i)(
            jnp.float32(0.3), jax.random.key(2), x_0
        )[0]
        for i in (False, True)
    ]
    t = law(None, 64)
    noise = jax.random.normal(jax.random.split(jax.random.key(2), 5)[3], x_0.shape)
    x_t = jax.vmap(lambda x, n, t: paths.interpolate(SCHEDULE, x, n, t))(x_0, noise, t)
    by_hand = jnp.mean((exact_u(0.3, None, x_t, t, t) - (noise - x_0)) ** 2)
    close(values, [by_hand] * 2, rtol=1e-5)


def test_the_weight_of_mean_flow():
    """1 / (loss_i + .01)^p of each example, without a gradient of its own: d loss = sum weight_i d loss_i."""
    make = lambda power: objectives.mean_flow(exact_u, SCHEDULE, equal=0.5, power=power)  # noqa: E731
    x_0 = data(jax.random.key(1), 1)
    of = lambda power: jax.value_and_grad(lambda p: make(power)(p, jax.random.key(2), x_0)[0])(jnp.float32(0.2))  # noqa: E731
    (plain, slope), (value, weighted) = of(0.0), of(1.0)
    close(value, plain / (plain + 0.01), rtol=1e-5)
    close(weighted, slope / (plain + 0.01), rtol=1e-5)


def test_the_share_of_equal_times():
    """Three quarters, half of the improvement, or what is asked for: counted where u differs by the span alone."""
    counts = lambda params, key, x_t, t, r, cond: x_t * 0 + (t > r).astype(float)[:, None]  # noqa: E731

    def share(**settings):
        # du = 0 here, and the mean of (u - v)^2 with v = noise - x_0 = noise of variance 1 is E (1{t > r} - n)^2 = 1 + P(t > r)
        loss_fn = objectives.mean_flow(counts, SCHEDULE, power=0.0, **settings)
        return 2 - float(loss_fn(None, jax.random.key(5), jnp.zeros((N, 1)))[0])

    close(share(), 0.75, atol=0.05)
    close(share(improved=True), 0.5, atol=0.05)
    close(share(equal=0.1), 0.1, atol=0.05)


def test_a_jump_along_the_exact_average_lands_on_the_flow():
    """At one step as at three. Mutation: the plus of x_t + (t - s) u."""
    x_1 = jnp.array([[0.3], [-1.2], [2.0]])
    step = flows.jump(exact_u, jnp.float32(0.0))
    for n in (1, 3):
        close(samplers.sample(step, jax.random.key(0), x_1, times.grid(n)), flow_map(x_1, 1.0, 0.0), rtol=1e-5)


def test_the_second_time_is_the_first_number_of_the_condition():
    """Span first, the user's condition after it, and the network's own time is t."""
    seen = lambda params, x_t, t, cond, xi: jnp.stack([t, cond[:, 0], cond[:, 1]], 1)  # noqa: E731
    u = flows.average_velocity(networks.Network(lambda key: None, seen))
    t, r, cond = jnp.array([0.9, 0.5]), jnp.array([0.2, 0.4]), jnp.array([[7.0], [8.0]])
    close(u(None, jax.random.key(0), jnp.zeros((2, 3)), t, r, cond), [[0.9, 0.7, 7.0], [0.5, 0.1, 8.0]], rtol=1e-6)
    with pytest.raises(ValueError, match=r"a condition is \[batch, c\]"):
        u(None, jax.random.key(0), jnp.zeros((2, 3)), t, r, jnp.array([7.0, 8.0]))


def test_a_mean_flow_learns_one_step():
    """A small net with raw times: samples of one step have the mean and spread of N(1.5, .5^2)."""
    import optax

    network = networks.mlp(1, width=32, depth=2, inject=None, cond_size=1, time=networks.raw_time)
    u = flows.average_velocity(network)
    loss_fn = objectives.mean_flow(u, SCHEDULE)
    optimizer = optax.adam(3e-3)

    @jax.jit
    def train(params, key):
        def update(state, key):
            params, opt_state = state
            key_data, key_loss = jax.random.split(key)
            gradient = jax.grad(lambda p: loss_fn(p, key_loss, data(key_data, 256))[0])(params)
            with jax.numpy_dtype_promotion("standard"):
                updates, opt_state = optimizer.update(gradient, opt_state, params)
                return (optax.apply_updates(params, updates), opt_state), None

        return jax.lax.scan(update, (params, optimizer.init(params)), jax.random.split(key, 1500))[0][0]

    params = train(network.init(jax.random.key(0)), jax.random.key(1))
    x_1 = jax.random.normal(jax.random.key(2), (4000, 1))
    x_0 = samplers.sample(flows.jump(u, params), jax.random.key(3), x_1, times.grid(1))
    close([x_0.mean(), x_0.std()], [MU, S], atol=0.08)


@pytest.mark.parametrize("gap", [0, -0.1, 1.5, np.nan])
def test_bad_settings_are_refused(gap):
    with pytest.raises(ValueError, match="gap between two times"):
        objectives.consistency(exact_f, SCHEDULE, gap=gap)


@pytest.mark.parametrize(
    ("settings", "told"), [({"equal": 1.5}, "share of equal times"), ({"power": -1.0}, "power of the weight")]
)
def test_bad_settings_of_mean_flow_are_refused(settings, told):
    with pytest.raises(ValueError, match=told):
        objectives.mean_flow(exact_u, SCHEDULE, **settings)


def test_the_condition_arrives():
    """Of a pair (x_0, cond), in both losses."""
    copies = lambda params, key, x_t, *rest: rest[-1]  # noqa: E731
    x_0 = data(jax.random.key(1), 8)
    batch = Batch(x_0, x_0)
    assert objectives.consistency(copies, SCHEDULE)(None, jax.random.key(0), batch)[0] == 0
    loss = objectives.mean_flow(copies, SCHEDULE, power=0.0)(None, jax.random.key(0), Batch(x_0, 0 * x_0))[0]
    noise = jax.random.normal(jax.random.split(jax.random.key(0), 5)[3], x_0.shape)
    close(loss, jnp.mean((noise - x_0) ** 2), rtol=1e-5)
