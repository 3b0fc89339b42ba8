"""float16, bfloat16, float32 and float64 states, with and without x64: what comes out, and how many digits of it are right."""

import contextlib
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import SCHEDULES
from numpy.testing import assert_allclose as close

from ddjax import denoisers, flows, mixtures, objectives, paths, samplers, schedules, scoring, times
from ddjax.types import Network

STATES = [
    (jnp.float16, False), (jnp.bfloat16, False), (jnp.float32, False),
    (jnp.float16, True), (jnp.bfloat16, True), (jnp.float32, True), (jnp.float64, True),
]  # fmt: skip
NAMES = [f"{dtype.__name__}{' under x64' if x64 else ''}" for dtype, x64 in STATES]


@pytest.fixture(params=STATES, ids=NAMES)
def state(request):
    """The dtype of a state; x64 is on where the pair says so."""
    dtype, x64 = request.param
    with jax.enable_x64(True) if x64 else contextlib.nullcontext():
        yield dtype


def gaussian():
    return mixtures.GaussianMixture(np.ones(1), np.array([[1.5, -0.4]]), np.array([[[0.5, 0.2], [0.2, 0.3]]]))


X_1 = np.array([[0.25, -1.25], [1.5, 0.75], [-0.625, 2.0]])
SAMPLERS = {
    name: lambda denoise, schedule, name=name: getattr(samplers, name)(denoise, schedule)
    for name in ("euler", "midpoint", "heun", "rk4")
}
SAMPLERS["bridge"] = lambda denoise, schedule: samplers.bridge(denoise, schedule, churn=0.0)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_keep_the_state_and_compute_in_more(state, name):
    """The answer of float64 within the roundings of eight states, in their own dtype; every path starts at x_1.

    Fails for a scan whose carry changes its dtype, and for times or scales in half precision: at t = 15/16 the step
    of 1/16 would have three digits in bfloat16.
    """
    schedule, grid = schedules.Cosine(), times.grid(8)
    with jax.enable_x64(True):
        exact = denoisers.bind(mixtures.mean_oracle(gaussian(), schedule), None)
        expected = samplers.sample(SAMPLERS[name](exact, schedule), jax.random.key(0), jnp.asarray(X_1), times.grid(8))
    denoise = denoisers.bind(mixtures.mean_oracle(gaussian(), schedule), None)
    x_1 = jnp.asarray(X_1, state)
    path = samplers.sample_path(SAMPLERS[name](denoise, schedule), jax.random.key(0), x_1, grid)
    assert path.dtype == state
    assert (path[0] == x_1).all()
    close(np.asarray(path[-1], np.float64), expected, atol=30 * float(jnp.finfo(state).eps))


def affine(params, x_t, t, cond, xi):
    return params * x_t + t.astype(x_t.dtype)[:, None] + (0 if xi is None else xi)


NETWORK = Network(lambda key: jnp.ones(()), affine)
RULES = {
    "energy in time": scoring.Energy(beta=lambda t: 2 - t, lam=lambda t: t),
    "kernel": scoring.KernelRule(scoring.imq()),
}


def losses(schedule):
    """Every loss, by name."""
    denoiser = denoisers.distributional(NETWORK, schedule)
    for name, rule in RULES.items():
        yield name, objectives.distributional(denoiser, schedule, score=rule, size=2)
    yield "denoising", objectives.denoising(denoisers.mean(NETWORK, schedule, predicts="v"), schedule)
    yield "flow matching", objectives.flow_matching(flows.network_velocity(NETWORK, schedule), schedule)


def test_losses_and_gradients_in_every_precision(state):
    """Losses in float32 or better, gradients in the dtype of the parameters; values those of float32 to the state's eps.

    Fails for terms of the loss in half precision, or an error of promotion between scales and states.
    """
    x_0 = np.random.default_rng(0).normal(size=(64, 2))

    @jax.jit
    def all_of(params, keys, x_0):
        each = dict(losses(schedules.Cosine()))
        gradient = functools.partial(jax.value_and_grad, has_aux=True)
        return {name: gradient(each[name])(params, key, x_0) for name, key in zip(each, keys, strict=True)}

    found = all_of(jnp.asarray(0.7, state), jax.random.split(jax.random.key(0), 4), jnp.asarray(x_0, state))
    for name, ((value, metrics), gradient) in found.items():
        assert value.dtype in (jnp.float32, jnp.float64), name
        assert gradient.dtype == state
        assert all(np.isfinite(leaf) for leaf in (*metrics.values(), gradient)), name


@pytest.mark.parametrize("state", [STATES[0], STATES[1], STATES[5]], ids=[NAMES[0], NAMES[1], NAMES[5]], indirect=True)
def test_solves_in_every_precision(state):
    """dx/dt = -x from 1 to 0 is x e, its density exact; the field sees the state's own dtype."""
    seen = []

    def field(key, x, t):
        seen.append(x.dtype)
        return -x

    x = jnp.asarray(X_1, state)
    found = flows.integrate(field, jax.random.key(0), x)
    close(np.asarray(found.x, np.float64), np.e * X_1, rtol=4 * float(jnp.finfo(state).eps) + 1e-4)
    likelihood = flows.log_density(field, schedules.Rectified(), jax.random.key(0), x)
    assert found.x.dtype == likelihood.x_1.dtype == state
    assert likelihood.log_prob.dtype in (jnp.float32, jnp.float64)
    expected = -(X_1**2).sum(1) / np.e**2 / 2 - np.log(2 * np.pi) - 2
    close(likelihood.log_prob, expected, atol=1e-2)
    assert set(seen) == {jnp.dtype(state)}


LONG = np.longdouble


def long_scales(schedule, t):
    """alpha and sigma in extended precision, from their definitions."""
    t = LONG(t)
    match schedule:
        case schedules.Rectified():
            return 1 - t, t
        case schedules.Cosine():
            half_pi = LONG("1.57079632679489661923132169163975144")
            return np.cos(half_pi * t), np.sin(half_pi * t)
        case schedules.VarianceExploding():
            low, high = LONG(schedule.sigma_min), LONG(schedule.sigma_max)
            return LONG(1), low * (high / low) ** t
        case schedules.VariancePreserving():
            low, high = LONG(schedule.beta_min), LONG(schedule.beta_max)
            integral = low * t + (high - low) * t**2 / 2
        case schedules.OrnsteinUhlenbeck():
            integral = LONG(schedule.g) * t
    return np.exp(-integral / 2), np.sqrt(-np.expm1(-integral))


def long_gap(schedule, t, s):
    """1 - r in extended precision, where 1e-7 of it still has twelve digits."""
    (alpha_t, sigma_t), (alpha_s, sigma_s) = long_scales(schedule, t), long_scales(schedule, s)
    return 1 - alpha_t / alpha_s * (sigma_s / sigma_t)


@pytest.mark.skipif(np.finfo(LONG).eps > 1e-18, reason="no extended precision on this machine")
@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("schedule", [*SCHEDULES, schedules.OrnsteinUhlenbeck(lambda t: 7.0 + 0 * t)])
def test_the_bridge_keeps_its_digits_however_near_the_times(schedule, x64):
    """Relative error of the std below 3e-6 in float32 and 1e-11 in float64, gaps 1e-7 to .5, both ends included.

    Fails for 1 - r by subtraction: 2 % off at a gap of 1e-6, and 0 at 1e-7.
    """
    truth = schedules.OrnsteinUhlenbeck(7.0) if callable(getattr(schedule, "g", None)) else schedule
    with jax.enable_x64(x64):
        dtype = np.float64 if x64 else np.float32
        t = dtype([1e-5, 1e-3, 0.1, 0.35, 0.6, 0.97, 0.9999])
        gaps = dtype([1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.02, 0.07, 0.5])
        pairs = [(a, dtype(a - gap)) for a in t for gap in gaps if a - gap > 0 and dtype(a - gap) < a]
        ones = jnp.ones(1, dtype)
        found = jax.jit(jax.vmap(lambda t, s: paths.bridge(schedule, ones, ones, t, s, churn=0.8)[1]))(
            *(jnp.asarray(side) for side in zip(*pairs, strict=True))
        )
        for (a, b), std in zip(pairs, np.asarray(found), strict=True):
            gap = long_gap(truth, a, b)
            kappa = 1 - LONG("0.64") * gap
            expected = LONG("0.8") * long_scales(truth, b)[1] * np.sqrt(gap * (1 + kappa))
            assert abs(std / expected - 1) < (1e-11 if x64 else 3e-6), (a, b)


def test_small_variances_of_mixtures_are_those_of_float64():
    """Spectra down to 1.5e-7, d = 32 and 64: positive, right to one rounding, and draws and densities with them.

    Fails for float32's eigh, a fifth of whose smallest eigenvalues are negative there.
    """
    rng = np.random.default_rng(1)
    for trial in range(6):
        d = 64 if trial % 2 else 32
        turn, _ = np.linalg.qr(rng.normal(size=(d, d)))
        spectrum = np.concatenate([np.ones(d - 4), [1.3e-7] * 4]) if trial % 3 == 0 else np.geomspace(1, 1.5e-7, d)
        cov = (turn * spectrum) @ turn.T
        mixture = mixtures.GaussianMixture(np.ones(1), np.zeros((1, d)), (cov + cov.T)[None] / 2)
        close(np.sort(mixture.variances[0]), np.sort(spectrum), rtol=1e-6)
        coordinates = np.asarray(mixture.sample(jax.random.key(trial), 4000), np.float64) @ turn
        close(coordinates.var(0) / spectrum, 1, atol=6 * np.sqrt(2 / 4000))
        x = turn @ (np.sqrt(spectrum) * rng.normal(size=d))
        expected = -((turn.T @ x) ** 2 / spectrum + np.log(2 * np.pi * spectrum)).sum() / 2
        close(mixture.log_prob(jnp.asarray(x, jnp.float32)), expected, rtol=1e-3)


@pytest.mark.parametrize(
    ("covs", "says"),
    [
        (np.diag([1e-39, 1e-39]), "positive definite"),  # 0 on accelerators, which flush what is below 1.2e-38
        (np.diag([1e39, 1e39]), "finite in float32"),
        (np.array([[1.0, 0.0], [9e-6, 5e-6]]), "positive definite"),  # as skew as it is narrow
        (np.diag([1.0, 0.5e-7]), "positive definite"),
    ],
)
def test_what_the_precision_cannot_hold_is_refused(covs, says):
    with pytest.raises(ValueError, match=says):
        mixtures.GaussianMixture(np.ones(1), np.zeros((1, 2)), covs[None])


def test_the_symmetry_of_a_small_covariance_is_its_own():
    """Beside a wide component. Fails for a bound relative to the largest of all components."""
    covs = np.stack([np.eye(2), np.array([[1e-6, 5e-7], [0.0, 1e-6]])])
    with pytest.raises(ValueError, match="symmetric"):
        mixtures.GaussianMixture(np.full(2, 0.5), np.zeros((2, 2)), covs)
