"""Functions of states and samples that walk, draw and measure, with their arrays: rows for `test_not_finite` and `test_integers`.

Fields, drifts and denoisers are bounded where that could hide an infinite state.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from ddjax import denoisers, flows, inflation, mixtures, paths, predictions, samplers, schedules, sde, times
from ddjax.types import Network

ROOMS = {
    "paths": paths, "predictions": predictions, "mixtures": mixtures, "denoisers": denoisers, "flows": flows, "sde": sde,
    "samplers": samplers, "inflation": inflation,
}  # fmt: skip

X, OTHER = (
    jnp.asarray(rows, jnp.float32) for rows in ([[2, -1], [1, 3], [4, -2], [3, 1]], [[1, 2], [-2, 1], [1, 4], [2, 3]])
)
POSITIVE = np.array([2.0, 1.0], np.float32)
T = jnp.full(4, 0.4)
S = schedules.Rectified()
STRAIGHT = jnp.stack([X, X + 1, 2 * X])
GRID = times.grid(2)
MIXTURE = mixtures.GaussianMixture(
    np.array([0.3, 0.7]), np.array([[1.0, 0.5], [-0.7, 0.2]]), np.stack([np.eye(2) / 2] * 2)
)
EIGEN = inflation.eigenbasis(np.random.default_rng(0).normal(size=(20, 2)))
PRIOR = inflation.Prior(jnp.zeros(2), jnp.ones(2))
OU = sde.ornstein_uhlenbeck(1.0)
STEPS = {"tolerance": 1e-3, "max_steps": 64}


def key():
    return jax.random.key(0)


def bounded(x, t):
    return -jnp.tanh(jnp.asarray(x, jnp.float32))


def field(key, x, t):
    return bounded(x, t)


def denoise(key, x_t, t):
    return x_t * 0.5


def draw(params, key, x_t, t, cond=None):
    return x_t * 0.5 + 0.1 * jax.random.normal(key, x_t.shape)


def network(noise):
    """Of one draw, or of as many as there is noise for."""

    def apply(params, x_t, t, cond, xi):
        half = jnp.asarray(x_t, jnp.float32) * 0.5
        return half if not noise else (half if xi.ndim == half.ndim else half[:, None]) + 0.1 * xi

    return Network(lambda key: None, apply)


def log_likelihood(x_0):
    return -jnp.sum((x_0 - 1.0) ** 2)


def at(function, *rest):
    """function(params, key, x, t), or without either, with a key made for each call."""
    return [(lambda x: function(*(key() if r is key else r for r in rest), x, T), {"x_t": X})]


def one_step(step, name="x_t"):
    return [(lambda x: step(key(), x, jnp.float32(0.5), jnp.float32(0.2)), {name: X})]


def walk(sampled, name="x_1"):
    return [(lambda x: sampled(samplers.bridge(denoise, S), key(), x, GRID), {name: X})]


def mapped(pushed, name):
    return [(lambda x: pushed(field, key(), x, GRID), {name: X})]


def spread(make):
    return [(make, {"variances": POSITIVE})]


FOLDED = denoisers.distributional(network(True), S)

STATE_ROWS = {
    "paths.interpolate": [(lambda x_0, noise: paths.interpolate(S, x_0, noise, 0.3), {"x_0": X[0], "noise": OTHER[0]})],
    "paths.bridge": [(lambda x_0, x_t: paths.bridge(S, x_0, x_t, 0.5, 0.2)[0], {"x_0": X[0], "x_t": OTHER[0]})],
    "predictions.convert": [
        (
            lambda x_t, value, kinds=kinds: predictions.convert(S, x_t, 0.3, value, source=kinds[0], target=kinds[1]),
            {"x_t": X[0], "value": OTHER[0]},
        )
        for kinds in (("x0", "velocity"), ("velocity", "score"))
    ],
    "predictions.of_network": at(partial(predictions.of_network, network(False), S, "noise", "x0", None), key),
    "mixtures.GaussianMixture": [
        (
            lambda weights, means, covs: mixtures.GaussianMixture(weights, means, covs).log_prob(jnp.ones(2)),
            {"weights": np.ones(1, np.float32), "means": np.asarray(X[:1]), "covs": np.eye(2, dtype=np.float32)[None]},
        ),
        (MIXTURE.log_prob, {"x": X[0]}),
        (lambda x: MIXTURE.score(S, x, 0.3), {"x_t": X[0]}),
        (lambda x: MIXTURE.posterior(S, x, 0.3).mean(), {"x_t": X[0]}),
        (lambda x: MIXTURE.velocity(S, x, 0.3), {"x_t": X[0]}),
    ],
    "mixtures.oracle": at(mixtures.oracle(MIXTURE, S), None, key),
    "mixtures.mean_oracle": at(mixtures.mean_oracle(MIXTURE, S), None, key),
    "denoisers.mean": at(denoisers.mean(network(False), S, predicts="noise"), None, key),
    "denoisers.distributional": at(FOLDED, None, key),
    "denoisers.population": at(partial(denoisers.population, draw, size=3), None, key),
    "denoisers.folded_population": at(partial(denoisers.folded_population, FOLDED, size=3), None, key),
    "denoisers.Posterior": [
        (lambda x: denoisers.Posterior(draw, None, x, T).mean(key(), 3), {"x_t": X}),
        (lambda x: denoisers.Posterior(draw, None, x, T).cov(key(), 3), {"x_t": X}),
    ],
    "denoisers.posterior": [(lambda x: denoisers.posterior(draw, None, x, T).sample(key(), 3), {"x_t": X})],
    "denoisers.bind": at(denoisers.bind(draw, None), key),
    "denoisers.fixed_xi": at(lambda x, t: denoisers.fixed_xi(denoisers.bind(draw, None), key())(key(), x, t)),
    "denoisers.guided": [
        (
            lambda x: denoisers.guided(lambda params, key, x, t, cond: 3 * x, 2.5, null=jnp.array(0.0))(
                None, key(), x, T, jnp.ones(4)
            ),
            {"x_t": X},
        )
    ],
    "flows.average_velocity": [
        (lambda x: flows.average_velocity(network(False))(None, key(), x, T, T / 2), {"x_t": X})
    ],
    **{
        f"flows.{make.__name__}": one_step(make(field))
        for make in (flows.euler, flows.midpoint, flows.heun, flows.kutta3, flows.rk4)
    },
    "flows.jump": one_step(flows.jump(lambda params, key, x, t, r, cond: bounded(x, t), None)),
    "flows.exact_divergence": [(lambda x: flows.exact_divergence(lambda x: x**3 / 3, key(), x)[1], {"x": X[0]})],
    "flows.hutchinson": [(lambda x: flows.hutchinson(3)(lambda x: x**3 / 3, key(), x)[1], {"x": X[0]})],
    "flows.integrate": [(lambda x: unless_converged(flows.integrate(field, key(), x, **STEPS)), {"x": X})],
    "flows.log_density": [(lambda x_0: unless_converged(flows.log_density(field, S, key(), x_0, **STEPS)), {"x_0": X})],
    "flows.path_length": [(flows.path_length, {"path": STRAIGHT})],
    "flows.straightness": [
        (lambda path: flows.straightness(path, GRID), {"path": STRAIGHT}),
        (lambda times: flows.straightness(STRAIGHT, times), {"times": jnp.array([3.0, 1.0, 0.0])}),
    ],
    "flows.network_velocity": at(flows.network_velocity(network(False), S, predicts="noise"), None, key),
    "flows.velocity": at(flows.velocity(denoise, S), key),
    **{
        f"sde.{method.__name__}": [
            (lambda x, method=method: method(OU, key(), x, jnp.float32(0.1), jnp.float32(0.2)), {"x": X[0]})
        ]
        for method in (sde.euler_maruyama, sde.heun)
    },
    "sde.predictor_corrector": [
        (
            lambda x: sde.predictor_corrector(bounded, size=0.1)(OU, key(), x, jnp.float32(0.1), jnp.float32(0.2)),
            {"x": X[0]},
        )
    ],
    "sde.fokker_planck_residual": [
        (
            lambda x: sde.fokker_planck_residual(
                OU, lambda x, t: MIXTURE.diffuse(schedules.OrnsteinUhlenbeck(1.0), t).log_prob(x), x, 0.3
            ),
            {"x": X[0]},
        )
    ],
    "sde.integrate": [
        (
            lambda x: unless_converged(
                sde.integrate(sde.SDE(bounded, lambda x, t: jnp.float32(0.1)), key(), x, tolerance=1e-2, max_steps=256)
            ),
            {"x": X},
        )
    ],
    "sde.of_schedule": [(lambda x: sde.of_schedule(S).drift(x, 0.3), {"x": X[0]})],
    "sde.ordinary": [(lambda x: sde.simulate(sde.ordinary(bounded), key(), x, np.array([0.0, 0.5])), {"x": X})],
    "sde.ornstein_uhlenbeck": [(lambda x: OU.drift(x, 0.3), {"x": X[0]})],
    "sde.prior_gap": [(lambda x_0: sde.prior_gap(S, x_0, 0.5), {"x_0": X[0]})],
    "sde.probability_flow": [(lambda x: sde.probability_flow(OU, bounded)(x, 0.3), {"x": X[0]})],
    "sde.reverse": [(lambda x: sde.reverse(OU, bounded, 1.0).drift(x, 0.3), {"x": X[0]})],
    "sde.simulate": [(lambda x: sde.simulate(OU, key(), x, np.array([0.0, 0.5])), {"x": X})],
    "samplers.bridge": one_step(samplers.bridge(denoise, S)),
    "samplers.renoise": one_step(samplers.renoise(denoise, S)),
    **{
        f"samplers.{make.__name__}": one_step(make(denoise, S))
        for make in (samplers.euler, samplers.midpoint, samplers.heun, samplers.rk4)
    },
    "samplers.conditioned": at(samplers.conditioned(denoisers.bind(draw, None), log_likelihood, draws=4), key),
    "samplers.effective_draws": at(
        partial(samplers.effective_draws, denoisers.bind(draw, None), log_likelihood, draws=4), key
    ),
    "samplers.effective_size": [(samplers.effective_size, {"log_w": X})],
    "samplers.plugged_in": at(samplers.plugged_in(denoise, log_likelihood, S), key),
    "samplers.pseudoinverse_guided": [
        (
            lambda x_t, y: samplers.pseudoinverse_guided(denoise, np.array([[1.0, 2.0]]), S, y=y, noise=0.3)(
                key(), x_t, T
            ),
            {"x_t": X, "y": OTHER[:, :1]},
        )
    ],
    "samplers.particles": [
        (
            lambda x_1: samplers.particles(denoisers.bind(draw, None), log_likelihood, S, key(), x_1, GRID, draws=3),
            {"x_1": X},
        )
    ],
    "samplers.decreasing": [(samplers.decreasing, {"times": np.array([3.0, 1.0, 0.0])})],
    "samplers.sample": walk(samplers.sample),
    "samplers.sample_path": walk(samplers.sample_path),
    "samplers.sample_until": walk(samplers.sample_until),
    **{
        f"inflation.{make.__name__}": spread(lambda variances, make=make: tuple(make(S, variances)(0.3)))
        for make in (inflation.Anisotropic, inflation.EDM, inflation.EigenEDM)
    },
    "inflation.Preserving": spread(lambda variances: inflation.Preserving(variances, 1.0, 7.0)(0.3).sigma),
    "inflation.Reducing": spread(lambda variances: inflation.Reducing(variances, (2.0, 1.0), 1.0, 7.0)(0.3).sigma),
    "inflation.preserving": spread(lambda variances: inflation.preserving(variances)(0.3).sigma),
    "inflation.reducing": spread(lambda variances: inflation.reducing(variances, keep=1)(0.3).sigma),
    "inflation.one_scale": spread(inflation.one_scale),
    "inflation.analytic_prior": spread(lambda variances: inflation.analytic_prior(S, variances).std),
    "inflation.participation": spread(lambda variances: inflation.participation(S, variances, np.array([0.3]))),
    "inflation.participation_ratio": [(inflation.participation_ratio, {"cov": np.diag(POSITIVE)})],
    "inflation.scaled_variances": spread(lambda variances: inflation.scaled_variances(S, variances, 0.3)),
    "inflation.unscaled_variances": spread(lambda variances: inflation.unscaled_variances(S, variances, 0.3)),
    "inflation.Standardised": [
        (
            lambda samples, observation: inflation.Standardised(inflation.Anisotropic(S, POSITIVE))(
                samples, observation, 0.3
            ),
            {"samples": X, "observation": OTHER[0]},
        )
    ],
    "inflation.preconditioned": at(
        inflation.preconditioned(network(False), inflation.Anisotropic(S, POSITIVE)), None, key
    ),
    "inflation.autocorrelation": [(inflation.autocorrelation, {"values": STRAIGHT**2})],
    "inflation.ball": [(lambda centre: inflation.ball(key(), centre, 0.3, 3), {"centre": X[0]})],
    "inflation.coverage": [(lambda latents: inflation.coverage(latents, PRIOR), {"latents": X})],
    "inflation.credible": mapped(inflation.credible, "cloud"),
    "inflation.distorted": [(lambda cloud: inflation.distorted(lambda x: bounded(x, 0) + x, cloud), {"cloud": X})],
    "inflation.eigenbasis": [(inflation.eigenbasis, {"data": np.asarray(X)})],
    "inflation.eigenbasis_of": [
        (inflation.eigenbasis_of, {"mean": np.asarray(X[0]), "cov": np.array([[3.0, 1.0], [1.0, 2.0]], np.float32)})
    ],
    "inflation.process_states": [
        (lambda x_0: inflation.process_states(S, key(), x_0, jnp.array([0.2, 0.5])), {"x_0": X})
    ],
    "inflation.fresh_states": [(lambda x_0: inflation.fresh_states(S, key(), x_0, jnp.array([0.2, 0.5])), {"x_0": X})],
    "inflation.gaussian_oracle": at(inflation.gaussian_oracle(POSITIVE, S), None, key),
    "inflation.mixture_oracle": at(inflation.mixture_oracle(MIXTURE, S), None, key),
    "inflation.inflate": mapped(inflation.inflate, "x_0"),
    "inflation.generate": mapped(inflation.generate, "x_1"),
    "inflation.inflate_path": mapped(lambda *args: inflation.inflate_path(*args).states, "x_0"),
    "inflation.round_trip": mapped(inflation.round_trip, "x_0"),
    "inflation.in_data_space": at(
        lambda y, t: inflation.in_data_space(network(False), EIGEN).apply(None, y, t, None, None)
    ),
    "inflation.on_data": [
        (
            lambda x_0: inflation.on_data(lambda params, key, y: (jnp.sum(y**2), {}), EIGEN)(None, key(), x_0)[0],
            {"x_0": X},
        )
    ],
    "inflation.outputs": [
        (lambda states: inflation.outputs(denoise, key(), states, jnp.array([0.2, 0.5])), {"states": STRAIGHT[:2]})
    ],
    "inflation.innovations": [(inflation.innovations, {"outputs": STRAIGHT, "x_0": X})],
    "inflation.residuals": [(inflation.residuals, {"outputs": STRAIGHT, "x_0": X})],
    "inflation.stirred": [(lambda latents: inflation.stirred(PRIOR, 0.3)(key(), latents), {"latents": X})],
    "inflation.truncated": [(inflation.truncated(1, fill=jnp.array([0.5, 0.7])), {"latents": X})],
}

NO_STATES = {
    "paths.prior": "draws",
    "samplers.in_chunks": "draws",
    "inflation.chi_coverage": "of a number of dimensions",
    "inflation.constant_gap": "of a setting",
    "inflation.horizon": "of settings",
    "inflation.linear": "a grid",
    "inflation.normal": "a law of times",
    "inflation.original": "of numbers of directions",
    "inflation.variance_preserving": "a grid",
}


def unless_converged(found):
    """The numbers, and NaN for a solver that says that it did not converge."""
    return found[0], jnp.where(found.converged, 0.0, jnp.nan)
