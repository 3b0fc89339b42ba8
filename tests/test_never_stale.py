"""A result is never that of an older program: what a function reads may change between two calls, in every way that users have.

Each row of the table is a model of one value, a call that reads it, and what sets it to another.
"""

import dataclasses
import functools
import gc
import weakref

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.tree_util import Partial
from numpy.testing import assert_allclose as close
from numpy.testing import assert_array_equal as same

from ddjax import denoisers, flows, inflation, metrics, samplers, schedules, scoring, sde, times

D = 3
SCHEDULE, GRID = schedules.Cosine(), times.grid(3)


class Shift(nnx.Module):
    """A model whose parameters are set in place."""

    def __init__(self, value):
        self.value = nnx.Param(jnp.float32(value))

    def __call__(self, key, x_t, t):
        return jnp.full_like(x_t, self.value[...])


class Model:
    """A model of one's own, called by a method or as it is."""

    def __init__(self, value):
        self.value = value

    def denoise(self, key, x_t, t):
        return jnp.full_like(x_t, self.value)

    __call__ = denoise

    def flow(self, key, x, t, *cond):
        return jnp.full_like(x, self.value)

    def drift(self, x, t):
        return jnp.full_like(x, self.value)

    def log_likelihood(self, x_0):
        return -0.1 * jnp.sum((x_0 - self.value) ** 2)

    def rank(self, points):
        return jnp.sum(jnp.abs(points - self.value), 1)

    def profile(self, squared, width):
        return self.value * squared

    def velocity(self, params, key, x_t, t, cond):
        return jnp.full_like(x_t, self.value)

    def divergence(self, u, key, x):
        return u(x), jnp.float32(self.value)

    def draw(self, key, n):
        return jnp.full((n, D), self.value)


class Scaled:
    """A schedule that can be changed."""

    def __init__(self, value):
        self.value = value

    def __call__(self, t):
        return schedules.Scales(self.value * (1 - t), t)


class Widened(schedules.Rectified):
    """A schedule of the package's, frozen, with an attribute that is no field and may be set."""

    def __init__(self, value):
        self.value = value

    def __call__(self, t):
        return schedules.Scales(1 - t, self.value * t)


@dataclasses.dataclass(frozen=True)
class Uncompared:
    """A schedule that equals another of its class, whatever its value."""

    value: float = dataclasses.field(compare=False)

    def __call__(self, t):
        return schedules.Scales(1 - t, self.value * t)


class Number(int):
    """A number that is a step as well."""

    value = 1.0

    def __call__(self, key, x_t, t, s):
        return self.value * x_t


settings = {"value": 1.0}
variable = 1.0
buffer = np.ones((), np.float32)


def from_a_dict(key, x_t, t):
    return jnp.full_like(x_t, settings["value"])


def from_a_global(key, x_t, t):
    return jnp.full_like(x_t, variable)


def from_an_array(key, x_t, t):
    return jnp.full_like(x_t, buffer)


def set_global(value):
    global variable
    variable = value


def of_denoiser(denoise, method=samplers.bridge, walk=samplers.sample):
    step = method(denoise, SCHEDULE)
    return lambda: walk(step, jax.random.key(1), jnp.ones((2, 1)), GRID)


def changing(make, call):
    """A model of one value, the call that reads it, and what sets it to another."""
    model = make(1.0)
    return call(model), lambda value: setattr(model, "value", value)


X, ONE = jnp.ones((2, D)), jnp.ones(2)
GOES_STALE = {
    "nnx module": lambda: of_nnx(),
    "method": lambda: changing(Model, lambda m: of_denoiser(m.denoise)),
    "method, step built anew": lambda: changing(Model, lambda m: lambda: of_denoiser(m.denoise)()),
    "callable object": lambda: changing(Model, of_denoiser),
    "Partial of a method": lambda: changing(Model, lambda m: of_denoiser(Partial(m.denoise))),
    "Partial of a closure": lambda: changing(Model, lambda m: of_denoiser(Partial(lambda *args: m.denoise(*args)))),
    "dict": lambda: (of_denoiser(from_a_dict), lambda value: settings.update(value=value)),
    "global": lambda: (of_denoiser(from_a_global), set_global),
    "NumPy array": lambda: (of_denoiser(from_an_array), lambda value: buffer.fill(value)),
    "schedule": lambda: changing(Scaled, lambda schedule: renoised(schedule)),
    "attribute that is no field": lambda: changing(Widened, renoised),
    "schedules that are equal": lambda: uncompared(),
    "subclass of a number": lambda: changing(lambda value: Number(), lambda step: lambda: samplers.sample(
        step, jax.random.key(0), X, GRID)),
    "Partial of a decorated function": lambda: changing(Model, lambda m: of_denoiser(
        Partial(functools.wraps(still)(lambda *args: m.denoise(*args))))),
    "decorated function of the package": lambda: changing(Model, lambda m: of_denoiser(
        decorated(denoisers.mean, lambda key, x_t, t: m.denoise(key, x_t, t)))),
    "Partial of a function with a default": lambda: changing(Model, lambda m: of_denoiser(
        Partial(lambda key, x_t, t, m=m: m.denoise(key, x_t, t)))),
    "Partial of a function with a default by name": lambda: changing(Model, lambda m: of_denoiser(
        Partial(lambda key, x_t, t, *, m=m: m.denoise(key, x_t, t)))),
    **{
        f"samplers.{method.__name__}": lambda method=method: changing(Model, lambda m: of_denoiser(m.denoise, method))
        for method in (samplers.euler, samplers.midpoint, samplers.heun, samplers.rk4, samplers.renoise)
    },
    **{
        f"samplers.{walk.__name__}": lambda walk=walk: changing(Model, lambda m: of_denoiser(m.denoise, walk=walk))
        for walk in (samplers.sample_until, samplers.sample_path)
    },
    "samplers.heun, a step by hand": lambda: by_hand(samplers.heun),
    "samplers.rk4, a step by hand": lambda: by_hand(samplers.rk4),
    "samplers.sample_until, a step of one's own": lambda: of_step(samplers.sample_until),
    "samplers.sample, a step of one's own": lambda: of_step(samplers.sample),
    "samplers.in_chunks": lambda: changing(Model, lambda m: lambda: samplers.in_chunks(m.draw, jax.random.key(0), 4, chunk=2)),
    "samplers.conditioned": lambda: changing(Model, lambda m: lambda: samplers.conditioned(
        wide, m.log_likelihood, draws=64)(jax.random.key(0), X, ONE)),
    "samplers.effective_draws": lambda: changing(Model, lambda m: lambda: samplers.effective_draws(
        wide, m.log_likelihood, jax.random.key(0), X, ONE)),
    "samplers.particles": lambda: changing(Model, lambda m: lambda: samplers.particles(
        wide, m.log_likelihood, SCHEDULE, jax.random.key(0), X, GRID).x_0),
    "flows.integrate": lambda: changing(Model, lambda m: lambda: flows.integrate(m.flow, jax.random.key(0), X, tolerance=1e-2).x),
    "flows.log_density": lambda: changing(Model, lambda m: lambda: flows.log_density(
        m.flow, SCHEDULE, jax.random.key(0), X, tolerance=1e-2).log_prob),
    "flows.log_density, divergence": lambda: changing(Model, lambda m: lambda: flows.log_density(
        Partial(still), SCHEDULE, jax.random.key(0), X, divergence=m.divergence, tolerance=1e-2).log_prob),
    "sde.simulate": lambda: changing(Model, lambda m: lambda: sde.simulate(
        sde.SDE(m.drift, lambda x, t: jnp.ones(())), jax.random.key(0), X, GRID[::-1])),
    "sde.integrate": lambda: changing(Model, lambda m: lambda: sde.integrate(
        sde.SDE(m.drift, lambda x, t: jnp.ones(())), jax.random.key(0), X, tolerance=1e-1).x),
    "denoisers.posterior": lambda: changing(Model, lambda m: lambda: denoisers.posterior(
        m.velocity, None, X, ONE).mean(jax.random.key(0), 2)),
    "metrics.rank_histogram": lambda: changing(Model, lambda m: lambda: metrics.rank_histogram(
        SPREAD_OUT, SPREAD_OUT[:, 0] + 0.5, jax.random.key(0), prerank=m.rank).counts),
    "metrics.pit": lambda: changing(Model, lambda m: lambda: metrics.pit(
        SPREAD_OUT, SPREAD_OUT[:, 0] + 0.5, jax.random.key(0), prerank=m.rank)),
    "metrics.mmd": lambda: changing(Model, lambda m: lambda: metrics.mmd(
        X, 2 * X, kernel=scoring.Kernel(m.profile, 1.0, 1.0))),
    "inflation.outputs": lambda: changing(Model, lambda m: lambda: inflation.outputs(
        m.denoise, jax.random.key(0), jnp.stack([X, X]), GRID[:2])),
    "inflation.process_states": lambda: changing(Scaled, lambda schedule: lambda: inflation.process_states(
        schedule, jax.random.key(0), X, GRID[1:3][::-1])),
    "inflation.fresh_states": lambda: changing(Scaled, lambda schedule: lambda: inflation.fresh_states(
        schedule, jax.random.key(0), X, GRID[1:3][::-1])),
}  # fmt: skip
SPREAD_OUT = jnp.asarray(np.random.default_rng(0).normal(size=(24, 5, D)), jnp.float32)


def of_nnx():
    net = Shift(1.0)

    def set_value(value):
        net.value[...] = jnp.float32(value)

    return of_denoiser(lambda key, x_t, t: net(key, x_t, t)), set_value


def renoised(schedule):
    return lambda: samplers.sample(samplers.renoise(Partial(itself), schedule), jax.random.key(0), X, GRID)


def uncompared():
    schedule = [None]

    def set_value(value):
        schedule[0] = Uncompared(value)

    return lambda: renoised(schedule[0])(), set_value


def decorated(function, wrapper):
    """As `functools.wraps` names it, without its mark."""
    wrapper.__module__ = function.__module__
    return wrapper


def by_hand(method):
    model = Model(1.0)
    step = method(lambda key, x_t, t: model.denoise(key, x_t, t), SCHEDULE)
    return lambda: step(jax.random.key(0), X, 1.0, 0.5), lambda value: setattr(model, "value", value)


def of_step(walk):
    model = Model(1.0)
    step = lambda key, x_t, t, s: model.value * x_t  # noqa: E731
    return lambda: walk(step, jax.random.key(0), X, GRID), lambda value: setattr(model, "value", value)


def wide(key, x_t, t):
    return 3 * jax.random.normal(key, x_t.shape)


def still(key, x, t):
    return 0 * x


def itself(key, x_t, t):
    return x_t


@pytest.mark.parametrize("name", GOES_STALE)
def test_what_changes_between_calls_reaches_the_next(name):
    """Of three calls the second sees the second value, and the third the first again.

    Mutations: functions trusted as leaves; closures and methods trusted in a Partial; a user's step handed to `lax.cond` itself,
    whose branches JAX keeps by identity.
    """
    call, set_value = GOES_STALE[name]()
    results = []
    for value in (1.0, 5.0, 1.0):
        set_value(value)
        results.append(np.asarray(call()))
    assert (results[0] != results[1]).any()
    same(results[0], results[2])


def test_a_loop_over_lambdas_keeps_neither_programs_nor_constants():
    """As many programs alive after 6 more functions as before, and none of their arrays."""
    backend = jax.extend.backend.get_backend()
    constants, alive = [], []
    for i in range(8):
        held = np.full((1, D), i, np.float32)
        constants.append(weakref.ref(held))
        samplers.sample(lambda key, x_t, t, s, held=held: x_t + jnp.asarray(held), jax.random.key(0), X, GRID)
        del held
        gc.collect()
        alive.append(len(backend.live_executables()))
    assert alive[-1] <= alive[1]
    assert not any(constant() is not None for constant in constants)


def test_the_second_call_of_a_function_that_may_change_warns_once_and_names_the_cure():
    step = lambda key, x_t, t, s: x_t * s  # noqa: E731
    sampled = lambda step: samplers.sample(step, jax.random.key(0), X, GRID)  # noqa: E731
    sampled(step)
    with pytest.warns(UserWarning, match=r"denoisers\.bind\(denoiser, params\)"):
        sampled(step)
    jax.jit(lambda x: samplers.sample(step, jax.random.key(0), x, GRID))(X)  # compiled by the caller: no warning
    close(sampled(Partial(step)), sampled(Partial(step)))
