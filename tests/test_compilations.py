"""Called as in a notebook, outside jit and with new values of the same shapes, every public function compiles once.

The count is that of XLA's programs, as jax itself reports them. Mutations: a scan in `samplers.sample` without `compiled`
(one program a call); steps and bound denoisers as closures (one program for each that is built anew).
"""

import dataclasses
import importlib

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.tree_util import Partial
from numpy.testing import assert_allclose as close
from numpy.testing import assert_array_equal as same

from ddjax import (
    couplings,
    denoisers,
    flows,
    inflation,
    metrics,
    mixtures,
    networks,
    objectives,
    paths,
    predictions,
    samplers,
    schedules,
    score_matching,
    scoring,
    sde,
    times,
    transport,
    weights,
)
from ddjax.compiled import compiled
from ddjax.metrics import reference

N, D = 24, 3
SCHEDULE, GRID = schedules.Cosine(), times.grid(3)
NETWORK = networks.mlp(D, width=4, depth=1)
PLAIN = networks.mlp(D, width=4, depth=1, inject=None)
SPANNED = networks.mlp(D, width=4, depth=1, inject=None, cond_size=1)
TIMES = jnp.linspace(0.1, 0.9, N)
LABELS = jnp.arange(N, dtype=jnp.int32) % 2
COMPILED = "/jax/core/compile/backend_compile_duration"

programs = [0]


def count(event, duration, **_):
    programs[0] += event == COMPILED


jax.monitoring.register_event_duration_secs_listener(count)


class Values:
    """New arrays of the same shapes for call number i; whatever a user builds from them is built anew too."""

    def __init__(self, i):
        rng = np.random.default_rng(i)
        self.keys = iter(jax.random.split(jax.random.key(i), 8))
        self.x, self.y = (jnp.asarray(rng.normal(size=(N, D)), jnp.float32) for _ in range(2))
        self.t, self.s = jnp.float32(0.5 + 0.1 * rng.random()), jnp.float32(0.1 + 0.1 * rng.random())
        self.mixture = mixtures.GaussianMixture(
            np.array([0.3, 0.7]), rng.normal(size=(2, D)), np.stack([np.eye(D)] * 2)
        )
        self.numbers = jax.tree.map(lambda leaf: leaf + 0.01 * i, PARAMS)
        self.plain = jax.tree.map(lambda leaf: leaf + 0.01 * i, PLAIN_PARAMS)
        self.spanned = jax.tree.map(lambda leaf: leaf + 0.01 * i, SPANNED_PARAMS)

    @property
    def key(self):
        return next(self.keys)

    def denoise(self):
        return denoisers.bind(denoisers.distributional(NETWORK, schedules.Cosine()), self.numbers)

    def posterior(self):
        return denoisers.posterior(denoisers.distributional(NETWORK, schedules.Cosine()), self.numbers, self.x, TIMES)

    def field(self):
        return denoisers.bind(flows.network_velocity(PLAIN, schedules.Cosine()), self.plain)

    def average(self):
        return flows.average_velocity(SPANNED)

    def mean_denoise(self):
        return denoisers.bind(denoisers.mean(PLAIN, schedules.Cosine()), self.plain)

    def inflating(self):
        return inflation.preserving(SPREAD)

    def conditioned(self):
        return inflation.preconditioned(PLAIN, inflation.Anisotropic(self.inflating(), SPREAD))

    def mixture_denoise(self):
        return denoisers.bind(mixtures.mean_oracle(self.mixture, schedules.Cosine()), None)

    def sampled(self, step):
        return samplers.sample(step, self.key, self.x, GRID)

    def foretold(self):
        return self.x[:, None] + self.y[None, :5]

    def walked(self, process, method="euler_maruyama"):
        return sde.simulate(process, self.key, self.x, jnp.array([0.0, 0.3, 0.6]) * self.t, method=method)

    def with_ratio(self):
        return {"network": self.plain, "ratio": self.t}

    def measurement(self):
        return np.eye(2, D), self.y[0, :2], 0.1 * np.eye(2)

    def net_loss(self, make, *rest, **settings):
        return self.loss(make(score_matching.network_score(PLAIN, SCHEDULE), *rest, SCHEDULE, **settings), self.plain)

    def loss(self, loss_fn, params):
        return loss_fn(params, self.key, self.x)


def scaled(factor, x, t):
    """A score of one's own."""
    return -factor * x


def squares(x, t):
    """A log density of one's own."""
    return -(x @ x) / 2


def along(direction, points):
    """A pre-rank of one's own."""
    return points @ direction


PROCESS = sde.of_schedule(schedules.VariancePreserving())
PARAMS, PLAIN_PARAMS, SPANNED_PARAMS = (net.init(jax.random.key(0)) for net in (NETWORK, PLAIN, SPANNED))


def draw(key, n):
    """A sampler of one's own."""
    return jax.random.normal(key, (n, D))


ROWS = {
    "samplers.bridge": lambda v: v.sampled(samplers.bridge(v.denoise(), SCHEDULE, churn=float(v.t))),
    "samplers.euler": lambda v: v.sampled(samplers.euler(v.mixture_denoise(), SCHEDULE)),
    "samplers.midpoint": lambda v: v.sampled(samplers.midpoint(v.denoise(), SCHEDULE)),
    "samplers.heun": lambda v: v.sampled(samplers.heun(v.denoise(), SCHEDULE)),
    "samplers.rk4": lambda v: v.sampled(samplers.rk4(v.denoise(), SCHEDULE)),
    "samplers.renoise": lambda v: v.sampled(samplers.renoise(v.denoise(), SCHEDULE)),
    "samplers.conditioned": lambda v: samplers.conditioned(v.denoise(), Partial(likely, v.t), draws=3)(
        v.key, v.x, TIMES
    ),
    "samplers.effective_draws": lambda v: samplers.effective_draws(
        v.denoise(), Partial(likely, v.t), v.key, v.x, TIMES, draws=3
    ),
    "samplers.effective_size": lambda v: samplers.effective_size(v.x),
    "samplers.plugged_in": lambda v: v.sampled(
        samplers.bridge(samplers.plugged_in(v.mean_denoise(), Partial(likely, v.t), SCHEDULE), SCHEDULE)
    ),
    "samplers.pseudoinverse_guided": lambda v: v.sampled(
        samplers.bridge(
            samplers.pseudoinverse_guided(
                v.mean_denoise(), np.eye(2, D), SCHEDULE, y=v.x[:, :2], noise=float(v.t), scale=float(v.t)
            ),
            SCHEDULE,
        )
    ),
    "samplers.particles": lambda v: samplers.particles(
        v.denoise(), Partial(likely, v.t), SCHEDULE, v.key, v.x, GRID, draws=2
    ),
    "samplers.sample": lambda v: v.sampled(CLOSURE),
    "samplers.sample_until": lambda v: samplers.sample_until(CLOSURE, v.key, v.x, GRID),
    "samplers.decreasing": lambda v: samplers.decreasing(GRID),
    "samplers.sample_path": lambda v: samplers.sample_path(CLOSURE, v.key, v.x, GRID),
    "samplers.in_chunks": lambda v: samplers.in_chunks(Partial(draw), v.key, 10, chunk=4),
    "flows.euler": lambda v: v.sampled(flows.euler(v.field())),
    "flows.midpoint": lambda v: v.sampled(flows.midpoint(v.field())),
    "flows.heun": lambda v: v.sampled(flows.heun(v.field())),
    "flows.kutta3": lambda v: v.sampled(flows.kutta3(v.field())),
    "flows.rk4": lambda v: v.sampled(flows.rk4(v.field())),
    "flows.velocity": lambda v: flows.velocity(v.denoise(), SCHEDULE)(v.key, v.x, TIMES),
    "flows.network_velocity": lambda v: v.field()(v.key, v.x, TIMES),
    "flows.integrate": lambda v: flows.integrate(v.field(), v.key, v.x, end=float(v.s), tolerance=1e-2),
    "flows.log_density": lambda v: flows.log_density(
        v.field(), SCHEDULE, v.key, v.x, start=float(v.s), divergence=flows.hutchinson(2), tolerance=1e-2
    ),
    "flows.exact_divergence": lambda v: flows.exact_divergence(jnp.sin, v.key, v.x[0]),
    "flows.hutchinson": lambda v: flows.hutchinson(2)(jnp.sin, v.key, v.x[0]),
    "flows.average_velocity": lambda v: v.average()(v.spanned, v.key, v.x, TIMES, 0.5 * TIMES, None),
    "flows.jump": lambda v: v.sampled(flows.jump(v.average(), v.spanned)),
    "flows.path_length": lambda v: flows.path_length(jnp.stack([v.x, v.y])),
    "flows.straightness": lambda v: flows.straightness(jnp.stack([v.x, v.y]), jnp.stack([v.t, v.s])),
    "metrics.energy_distance": lambda v: metrics.energy_distance(v.x, v.y, beta=float(v.t)),
    "metrics.floor": lambda v: metrics.floor(metrics.mmd, draw, v.key, n=12, repeats=5),
    "metrics.frechet_distance": lambda v: metrics.frechet_distance(v.x, v.y),
    "metrics.kde_nll": lambda v: metrics.kde_nll(v.x, v.y, bandwidth=0.5),
    "metrics.kernel_distance": lambda v: metrics.kernel_distance(v.x, v.y, v.key, block=12),
    "metrics.memorisation": lambda v: metrics.memorisation(v.x, v.y, v.x + 1),
    "metrics.mmd": lambda v: metrics.mmd(v.x, v.y, kernel=scoring.rbf(float(v.t))),
    "metrics.nearest": lambda v: metrics.nearest(v.x, v.y),
    "metrics.per_class": lambda v: metrics.per_class(metrics.mmd, v.x, LABELS, v.y, LABELS, classes=2),
    "metrics.prdc": lambda v: metrics.prdc(v.x, v.y, k=2),
    "metrics.sinkhorn_divergence": lambda v: metrics.sinkhorn_divergence(v.x, v.y, blur=0.5),
    "metrics.sliced_wasserstein": lambda v: metrics.sliced_wasserstein(v.x, v.y, v.key, p=1),
    "metrics.rank_histogram": lambda v: metrics.rank_histogram(
        v.foretold(), v.y, v.key, prerank=Partial(along, v.y[0])
    ),
    "metrics.pit": lambda v: metrics.pit(v.foretold(), v.y, v.key),
    "metrics.average_prerank": lambda v: metrics.average_prerank(v.x),
    "metrics.energy_prerank": lambda v: metrics.energy_prerank(v.x),
    "metrics.tarp": lambda v: metrics.tarp(v.foretold(), v.y, v.x),
    "metrics.spread_skill": lambda v: metrics.spread_skill(v.foretold(), v.y),
    "metrics.variogram_score": lambda v: metrics.variogram_score(v.x, v.y[0], p=float(v.t)),
    "metrics.wasserstein": lambda v: metrics.wasserstein(v.x, v.y, p=2),
    "transport.assignment": lambda v: transport.assignment(v.x @ v.y.T),
    "transport.wasserstein": lambda v: transport.wasserstein(v.x, v.y, p=1),
    "transport.sinkhorn": lambda v: transport.sinkhorn(v.x, v.y, blur=0.5),
    "transport.sinkhorn_divergence": lambda v: transport.sinkhorn_divergence(v.x, v.y, blur=0.5),
    "transport.sinkhorn_blocked": lambda v: transport.sinkhorn_blocked(v.x, v.y, blur=0.5),
    "couplings.annealed": lambda v: couplings.annealed(couplings.squared(v.x, v.y)),
    "couplings.assignment": lambda v: couplings.assignment(v.key, v.x, v.y),
    "couplings.blind": lambda v: couplings.blind(couplings.independent)(v.key, v.x, v.y, LABELS),
    "couplings.conditional": lambda v: couplings.conditional(v.x, v.y, LABELS),
    "couplings.entropic": lambda v: couplings.entropic(couplings.squared(v.x, v.y), epsilon=0.5),
    "couplings.independent": lambda v: couplings.independent(v.key, v.x, v.y),
    "couplings.near_condition": lambda v: couplings.near_condition()(v.x, v.y, v.x + 1),
    "couplings.sinkhorn": lambda v: couplings.sinkhorn(v.key, v.x, v.y),
    "couplings.squared": lambda v: couplings.squared(v.x, v.y),
    "couplings.to_permutation": lambda v: couplings.to_permutation(couplings.annealed(couplings.squared(v.x, v.y))),
    "couplings.within_classes": lambda v: couplings.within_classes(v.x, v.y, LABELS),
    "scoring.Energy": lambda v: scoring.Energy(0.5)(v.x[:4], v.y[0], v.t),
    "scoring.KernelRule": lambda v: scoring.KernelRule(scoring.rbf())(v.x[:4], v.y[0], v.t),
    "scoring.Patched": lambda v: scoring.Patched(scoring.Energy(), 2)(
        v.x.reshape(2, 6, 6, 1), v.y.reshape(2, 6, 6, 1)[0], v.t
    ),
    "scoring.Sum": lambda v: SUM(v.x.reshape(2, 6, 6, 1), v.y.reshape(2, 6, 6, 1)[0], v.t),
    "scoring.Windows": lambda v: scoring.Windows(2, (1,))(v.x.reshape(2, 6, 6, 1)),
    "scoring.pooling": lambda v: scoring.pooling(2)(v.x.reshape(12, 6, 1)),
    "scoring.finite_differences": lambda v: scoring.finite_differences(0, wrap=True)(v.x),
    "scoring.scaled": lambda v: scoring.scaled(v.y)(v.x),
    "scoring.spectrum": lambda v: scoring.spectrum(v.x.reshape(12, 6, 1)),
    "scoring.almost_fair": lambda v: scoring.estimated(scoring.Energy(), scoring.almost_fair(0.9))(v.x[:4], v.y[0]),
    "scoring.banded": lambda v: scoring.estimated(scoring.Energy(), scoring.banded(2))(v.x[:4], v.y[0]),
    "scoring.biased": lambda v: scoring.estimated(scoring.Energy(), scoring.biased)(v.x[:4], v.y[0]),
    "scoring.crps": lambda v: scoring.crps(v.x[:4], v.y[0]),
    "scoring.energy": lambda v: scoring.energy(0.5).rho(v.x),
    "scoring.energy_score": lambda v: scoring.energy_score(v.x[:4], v.y[0]),
    "scoring.exponential": lambda v: scoring.exponential().rho(v.x**2),
    "scoring.score": lambda v: scoring.score(lambda d: jnp.sum(d**2, 1), v.x[:4], v.y[0]),
    "scoring.by_position": lambda v: scoring.by_position(scoring.Energy())(v.x[:4], v.y[0]),
    "scoring.by_element": lambda v: scoring.by_element(scoring.Energy())(v.x[:4], v.y[0]),
    "scoring.by_groups": lambda v: scoring.by_groups(scoring.Energy(), jnp.abs)(v.x[:4], v.y[0]),
    "scoring.estimated": lambda v: scoring.estimated(scoring.Energy(), scoring.paired)(v.x[:4], v.y[0]),
    "scoring.fair": lambda v: scoring.fair(v.x[:4], lambda d: jnp.sum(d**2, 1)),
    "scoring.imq": lambda v: scoring.imq().rho(v.x**2),
    "scoring.kernel_score": lambda v: scoring.kernel_score(v.x[:4], v.y[0], kernel=scoring.imq()),
    "scoring.needs_pairs": lambda v: scoring.needs_pairs(scoring.Energy(lam=v.t)),
    "scoring.paired": lambda v: scoring.paired(v.x, lambda d: jnp.sum(d**2, 1)),
    "scoring.rbf": lambda v: scoring.rbf().rho(v.x**2),
    "scoring.safe_power": lambda v: scoring.safe_power(v.x**2, 0.5),
    "mixtures.GaussianMixture": lambda v: [
        v.mixture.sample(v.key, 5),
        v.mixture.log_prob(v.x[0]),
        v.mixture.tilted_log_prob(v.x[0], 1, v.t),
        v.mixture.mean(),
        v.mixture.cov(),
        v.mixture.diffuse(SCHEDULE, v.t).covs,
        v.mixture.posterior(SCHEDULE, v.x[0], v.t).mean(),
        v.mixture.score(SCHEDULE, v.x[0], v.t),
        v.mixture.velocity(SCHEDULE, v.x[0], v.t),
        v.mixture.given_class(np.arange(2), 1).weights,
        v.mixture.given_linear(*v.measurement()).covs,
    ],
    "mixtures.oracle": lambda v: v.sampled(
        samplers.bridge(denoisers.bind(mixtures.oracle(v.mixture, SCHEDULE), None), SCHEDULE)
    ),
    "mixtures.mean_oracle": lambda v: v.mixture_denoise()(v.key, v.x, TIMES),
    "score_matching.explicit": lambda v: score_matching.explicit(jnp.sin, jnp.cos, v.x),
    "score_matching.implicit": lambda v: score_matching.implicit(jnp.sin, v.x),
    "score_matching.sliced": lambda v: score_matching.sliced(jnp.sin, v.key, v.x, probes=2),
    "score_matching.denoising": lambda v: score_matching.denoising(lambda x, t: x * t, SCHEDULE, v.key, v.x, v.t),
    "score_matching.data_loss": lambda v: v.loss(
        score_matching.data_loss(score_matching.sliced, lambda params, x: x * params), v.t
    ),
    "score_matching.denoising_loss": lambda v: v.net_loss(score_matching.denoising_loss),
    "score_matching.explicit_loss": lambda v: v.net_loss(score_matching.explicit_loss, lambda x, t: x * t),
    "score_matching.implicit_loss": lambda v: v.net_loss(score_matching.implicit_loss),
    "score_matching.sliced_loss": lambda v: v.net_loss(score_matching.sliced_loss, reduced=True),
    "score_matching.network_score": lambda v: score_matching.network_score(PLAIN, SCHEDULE)(v.plain, v.key, v.x, TIMES),
    "score_matching.mixture_score": lambda v: score_matching.mixture_score(v.mixture, SCHEDULE)(v.x[0], v.t),
    "score_matching.bayes": lambda v: score_matching.bayes(
        score_matching.mixture_score(v.mixture, SCHEDULE), lambda x, t: jnp.sum(x) * t, weight=float(v.t)
    )(v.x[0], v.t),
    "score_matching.class_likelihood": lambda v: score_matching.class_likelihood(v.mixture, SCHEDULE, np.arange(2), 1)(
        v.x[0], v.t
    ),
    "score_matching.linear_likelihood": lambda v: score_matching.linear_likelihood(
        v.mixture, SCHEDULE, *v.measurement()
    )(v.x[0], v.t),
    "objectives.condition_dropout": lambda v: objectives.condition_dropout(
        lambda params, key, batch: (jnp.sum(batch[0]), {}), probability=0.5, null=7
    )(None, v.key, (v.x, LABELS)),
    "objectives.consistency": lambda v: v.loss(
        objectives.consistency(denoisers.mean(PLAIN, SCHEDULE), SCHEDULE), v.plain
    ),
    "objectives.mean_flow": lambda v: v.loss(objectives.mean_flow(v.average(), SCHEDULE), v.spanned),
    "objectives.denoising": lambda v: v.loss(objectives.denoising(denoisers.mean(PLAIN, SCHEDULE), SCHEDULE), v.plain),
    "objectives.distributional": lambda v: v.loss(
        objectives.distributional(denoisers.distributional(NETWORK, SCHEDULE), SCHEDULE, size=2), v.numbers
    ),
    "objectives.flow_matching": lambda v: v.loss(
        objectives.flow_matching(flows.network_velocity(PLAIN, SCHEDULE), SCHEDULE), v.plain
    ),
    "objectives.sinkhorn_term": lambda v: v.loss(BESIDE, v.plain),
    "objectives.flat": lambda v: objectives.flat(v.x),
    "objectives.with_ratio": lambda v: BALANCED(v.with_ratio(), v.key, v.x),
    "objectives.balanced": lambda v: jax.grad(lambda params: BALANCED(params, v.key, v.x)[0])(v.with_ratio()),
    "objectives.descend_ratio": lambda v: objectives.descend_ratio(optax.sgd(0.1)).init(v.with_ratio()),
    "denoisers.mean": lambda v: denoisers.mean(PLAIN, SCHEDULE)(v.plain, v.key, v.x, TIMES),
    "denoisers.distributional": lambda v: v.sampled(samplers.bridge(v.denoise(), SCHEDULE)),
    "denoisers.population": lambda v: denoisers.population(
        denoisers.distributional(NETWORK, SCHEDULE), v.numbers, v.key, v.x, TIMES, size=2
    ),
    "denoisers.folded_population": lambda v: denoisers.folded_population(
        denoisers.distributional(NETWORK, SCHEDULE), v.numbers, v.key, v.x, TIMES, size=2
    ),
    "denoisers.posterior": lambda v: v.posterior().sample(v.key, 3),
    "denoisers.Posterior": lambda v: [v.posterior().mean(v.key, 3), v.posterior().cov(v.key, 3)],
    "denoisers.bind": lambda v: v.denoise()(v.key, v.x, TIMES),
    "denoisers.fixed_xi": lambda v: v.sampled(samplers.bridge(denoisers.fixed_xi(v.denoise(), v.key), SCHEDULE)),
    "denoisers.guided": lambda v: v.sampled(
        samplers.bridge(denoisers.bind(denoisers.guided(LABELLED, float(v.t), null=0), v.t, LABELS), SCHEDULE)
    ),
    "paths.interpolate": lambda v: paths.interpolate(SCHEDULE, v.x, v.y, v.t),
    "paths.prior": lambda v: paths.prior(SCHEDULE, v.key, (N, D)),
    "paths.bridge": lambda v: paths.bridge(SCHEDULE, v.x, v.y, v.t, v.s, churn=v.s),
    "predictions.of_network": lambda v: predictions.of_network(
        PLAIN, SCHEDULE, "velocity", "x0", v.plain, v.key, v.x, TIMES
    ),
    "predictions.convert": lambda v: predictions.convert(SCHEDULE, v.x, v.t, v.y, source="score", target="velocity"),
    "times.drawn": lambda v: times.drawn(times.uniform, v.key, v.x),
    "times.uniform": lambda v: times.uniform(v.key, N),
    "times.stratified": lambda v: times.stratified(v.key, N),
    "times.steps_of": lambda v: times.steps_of(5)(v.key, N),
    "times.power": lambda v: times.power(2.0)(v.key, N),
    "times.logit_normal": lambda v: times.logit_normal()(v.key, N),
    "times.shifted": lambda v: times.shifted(N),
    "times.karras": lambda v: times.karras(N),
    "times.grid": lambda v: times.grid(N, "cosine"),
    "times.matched": lambda v: times.matched(schedules.OrnsteinUhlenbeck(), N),
    "schedules.with_rates": lambda v: schedules.with_rates(SCHEDULE, v.t),
    "schedules.spread_rate": lambda v: schedules.spread_rate(SCHEDULE, v.t),
    "schedules.squared_diffusion": lambda v: schedules.squared_diffusion(SCHEDULE, v.t),
    "schedules.logsnr": lambda v: schedules.logsnr(SCHEDULE, v.t),
    "schedules.scales_at": lambda v: schedules.scales_at(SCHEDULE, v.t),
    "schedules.snr_loss": lambda v: schedules.snr_loss(SCHEDULE, v.t, v.s),
    **{
        f"schedules.{kind.__name__}": lambda v, kind=kind: kind()(v.t)
        for kind in (
            schedules.Rectified,
            schedules.Cosine,
            schedules.VariancePreserving,
            schedules.SubVariancePreserving,
            schedules.DDPM,
            schedules.VarianceExploding,
            schedules.OrnsteinUhlenbeck,
        )
    },
    "sde.ornstein_uhlenbeck": lambda v: v.walked(sde.ornstein_uhlenbeck(float(v.t))),
    "sde.of_schedule": lambda v: v.walked(sde.of_schedule(schedules.VariancePreserving())),
    "sde.reverse": lambda v: v.walked(sde.reverse(PROCESS, Partial(scaled, v.t), 1.0)),
    "sde.probability_flow": lambda v: v.walked(sde.ordinary(sde.probability_flow(PROCESS, Partial(scaled, v.t)))),
    "sde.ordinary": lambda v: v.walked(sde.ordinary(Partial(scaled, v.t))),
    "sde.simulate": lambda v: v.walked(PROCESS),
    "sde.euler_maruyama": lambda v: v.walked(PROCESS, sde.euler_maruyama),
    "sde.heun": lambda v: v.walked(PROCESS, sde.heun),
    "sde.predictor_corrector": lambda v: v.walked(PROCESS, sde.predictor_corrector(Partial(scaled, v.t), size=v.s)),
    "sde.integrate": lambda v: sde.integrate(PROCESS, v.key, v.x, end=float(v.s), tolerance=1e-2).x,
    "sde.fokker_planck_residual": lambda v: sde.fokker_planck_residual(PROCESS, squares, v.x[0], v.s),
    "sde.prior_gap": lambda v: sde.prior_gap(SCHEDULE, v.x[0], v.s),
    "weights.uniform": lambda v: weights.uniform(v.t),
    "weights.sigmoid": lambda v: weights.sigmoid(SCHEDULE)(v.t),
    "weights.snr": lambda v: weights.snr(SCHEDULE)(v.t),
    "weights.edm": lambda v: weights.edm(SCHEDULE)(v.t),
    "weights.variance": lambda v: weights.variance(SCHEDULE)(v.t),
    "weights.likelihood": lambda v: weights.likelihood(SCHEDULE)(v.t),
    "weights.on_scores": lambda v: weights.on_scores(SCHEDULE, weights.uniform)(v.t),
    "weights.of_examples": lambda v: weights.of_examples(weights.uniform, v.t[None]),
    "metrics.reference": lambda v: reference.sinkhorn_cost(v.x, v.y),
    "inflation.eigenbasis": lambda v: inflation.eigenbasis(v.x).coordinates(v.y),
    "inflation.eigenbasis_of": lambda v: inflation.eigenbasis_of(v.x[0], np.diag(SPREAD)).points(v.y),
    "inflation.participation_ratio": lambda v: inflation.participation_ratio(v.x.T @ v.x),
    "inflation.participation": lambda v: inflation.participation(v.inflating(), SPREAD, GRID),
    "inflation.scaled_variances": lambda v: inflation.scaled_variances(v.inflating(), SPREAD, v.t),
    "inflation.unscaled_variances": lambda v: inflation.unscaled_variances(v.inflating(), SPREAD, v.t),
    "inflation.preserving": lambda v: inflation.preserving(SPREAD)(v.t),
    "inflation.reducing": lambda v: inflation.reducing(SPREAD, keep=1)(v.t),
    "inflation.Preserving": lambda v: inflation.Preserving(SPREAD, 1.0, 7.0)(v.t),
    "inflation.Reducing": lambda v: inflation.Reducing(SPREAD, SPREAD, 1.0, 7.0)(v.t),
    "inflation.linear": lambda v: inflation.linear(N),
    "inflation.variance_preserving": lambda v: inflation.variance_preserving(N),
    "inflation.normal": lambda v: inflation.normal(horizon=15.0)(v.key, N),
    **{
        f"inflation.{kind.__name__}": lambda v, kind=kind: kind(v.inflating(), SPREAD)(v.t)
        for kind in (inflation.Anisotropic, inflation.EDM, inflation.EigenEDM)
    },
    "inflation.preconditioned": lambda v: v.sampled(
        samplers.bridge(denoisers.bind(v.conditioned(), v.plain), v.inflating())
    ),
    "inflation.Standardised": lambda v: inflation.Standardised(inflation.EDM(v.inflating(), SPREAD))(
        v.x[:1], v.y[0], v.t
    ),
    "inflation.in_data_space": lambda v: inflation.in_data_space(PLAIN, EIGEN).apply(v.plain, v.x, TIMES),
    "inflation.on_data": lambda v: v.loss(
        inflation.on_data(objectives.denoising(v.conditioned(), SCHEDULE), EIGEN), v.plain
    ),
    "inflation.gaussian_oracle": lambda v: inflation.gaussian_oracle(v.x[0] ** 2, SCHEDULE)(None, v.key, v.x, TIMES),
    "inflation.mixture_oracle": lambda v: inflation.mixture_oracle(v.mixture, v.inflating())(None, v.key, v.x, TIMES),
    "inflation.inflate": lambda v: inflation.inflate(v.field(), v.key, v.x, GRID),
    "inflation.generate": lambda v: inflation.generate(v.field(), v.key, v.x, GRID, method=flows.rk4),
    "inflation.inflate_path": lambda v: inflation.inflate_path(v.field(), v.key, v.x, GRID, every=2),
    "inflation.round_trip": lambda v: inflation.round_trip(v.field(), v.key, v.x, GRID, send=inflation.truncated(1)),
    "inflation.truncated": lambda v: inflation.truncated(1, fill=v.y[0])(v.x),
    "inflation.analytic_prior": lambda v: inflation.analytic_prior(v.inflating(), SPREAD).sample(v.key, 4),
    "inflation.coverage": lambda v: inflation.coverage(v.x, inflation.Prior(v.y[0], jnp.ones(D))),
    "inflation.chi_coverage": lambda v: inflation.chi_coverage(D),
    "inflation.process_states": lambda v: inflation.process_states(v.inflating(), v.key, v.x, GRID[::-1]),
    "inflation.fresh_states": lambda v: inflation.fresh_states(v.inflating(), v.key, v.x, GRID[::-1]),
    "inflation.outputs": lambda v: inflation.outputs(v.denoise(), v.key, jnp.stack([v.x, v.y]), GRID[:2]),
    "inflation.residuals": lambda v: inflation.residuals(jnp.stack([v.x, v.y]), v.x),
    "inflation.innovations": lambda v: inflation.innovations(jnp.stack([v.x, v.y]), v.x),
    "inflation.autocorrelation": lambda v: inflation.autocorrelation(jnp.stack([v.x, v.y])),
    "inflation.credible": lambda v: inflation.credible(
        v.field(), v.key, v.x, GRID, stir=inflation.stirred(inflation.Prior(v.y[0], jnp.ones(D)), float(v.t))
    ),
    "inflation.stirred": lambda v: inflation.stirred(inflation.Prior(v.y[0], jnp.ones(D)), float(v.t))(v.key, v.x),
    "inflation.ball": lambda v: inflation.ball(v.key, v.x[0], float(v.t), 5),
    "inflation.distorted": lambda v: inflation.distorted(jnp.sin, v.x),
}
SUM = scoring.Sum(
    ((1.0, scoring.Energy(), scoring.pooling(2)), (0.5, scoring.by_position(scoring.Energy()), scoring.spectrum))
)
SPREAD = np.array([3.0, 1.0, 0.2])
EIGEN = inflation.eigenbasis_of(np.zeros(D), np.diag(SPREAD))
BESIDE = objectives.sinkhorn_term(denoisers.mean(PLAIN, SCHEDULE), SCHEDULE, blur=1.0)
_DENOISER = denoisers.mean(objectives.with_ratio(PLAIN), SCHEDULE)
BALANCED = objectives.balanced(
    objectives.denoising(_DENOISER, SCHEDULE), objectives.sinkhorn_term(_DENOISER, SCHEDULE, blur=1.0)
)


def likely(y, x_0):
    return -jnp.sum((x_0 - y) ** 2)


CLOSURE = Partial(lambda key, x_t, t, s: x_t * s)
LABELLED = Partial(lambda params, key, x_t, t, cond: x_t * params + cond[:, None].astype(float))
VALUES = {
    "Likelihood",
    "Solution",
    "Sinkhorn",
    "Cost",
    "Coupling",
    "Plan",
    "Planner",
    "Kernel",
    "Rule",
    "Terms",
    "Term",
    "Scales",
    "SDE",
    "AverageVelocity",
    "Particles",
    "Times",
}
VALUES |= {"Coefficients", "Credible", "Distortion", "Eigenbasis", "Participation", "Path", "Prior", "RoundTrip"}
VALUES |= {"Pairing", "RankHistogram", "Tarp", "PRDC", "Floor", "KernelDistance", "Memorisation", "Statistics"}
ON_THE_HOST = {
    "cached_statistics",
    "checked_schedule",
    "constant_gap",
    "horizon",
    "one_scale",
    "original",
}  # files, shapes and NumPy alone


def public():
    """The public names of the rooms of mathematics: `__all__`, or what a file of its own defines."""
    for room in {name.split(".")[0] for name in ROWS}:
        module = importlib.import_module(f"ddjax.{room}")
        for name in getattr(module, "__all__", vars(module)):
            value = getattr(module, name)
            if "__all__" in vars(module) or (callable(value) and getattr(value, "__module__", "") == module.__name__):
                yield f"{room}.{name}"


def test_the_table_has_every_public_function():
    names = {name for name in public() if name.split(".")[1][0] != "_"}
    assert {name for name in names if name.split(".")[1] not in VALUES | ON_THE_HOST} == set(ROWS)


@pytest.mark.sampled(4)
@pytest.mark.filterwarnings("error:.* may read what changes between calls")
@pytest.mark.parametrize("name", ROWS)
def test_new_values_of_the_same_shapes_compile_nothing(name):
    """Zero programs in the second and third call."""
    call = ROWS[name]
    values = [Values(i) for i in range(3)]
    jax.block_until_ready(call(values[0]))
    before = programs[0]
    for value in values[1:]:
        jax.block_until_ready(call(value))
    assert programs[0] == before


def test_a_compiled_loop_is_the_loop_and_takes_its_arrays_new():
    """New params arrive, in a step built anew as in the old one. Fails where arrays are compiled in."""
    for seed in range(3):
        v = Values(seed)
        step, key = samplers.bridge(v.denoise(), SCHEDULE, churn=0.5), v.key
        expected = v.x
        for i, key_step in enumerate(jax.random.split(jax.random.clone(key), 3)):
            expected = step(key_step, expected, GRID[i], GRID[i + 1])
        close(samplers.sample(step, key, v.x, GRID), expected, rtol=1e-5, atol=1e-5)


X = jnp.ones((2, D))


@dataclasses.dataclass(frozen=True)
class Fixed:
    """A schedule of one's own that cannot change."""

    slope: float

    def __call__(self, t):
        return schedules.Scales(1 - self.slope * t, t)


def test_values_are_told_apart_by_type_and_frozen_dataclasses_by_their_fields():
    """1 and True are two programs, Fixed(.5) and Fixed(.5) are one. Mutation: values compared by == alone."""
    add = compiled(lambda x, more: x + jnp.asarray(more).astype(x.dtype) * (2 if more is True else 1))
    assert [int(add(jnp.int32(1), more)) for more in (1, True, 2, 1)] == [2, 3, 3, 2]
    call = lambda slope: inflation.fresh_states(Fixed(slope), jax.random.key(0), X, GRID[1:3][::-1])  # noqa: E731
    first = call(0.5)
    before = programs[0]
    same(call(0.5), first)
    assert programs[0] == before
    assert (call(0.25) != first).any()


def test_gradients_and_vmap_pass_through_the_compiled_loop():
    """d/dx of x (s_1 s_2 ...) by hand, and a batch of starts."""
    grid = jnp.array([1.0, 0.5, 0.25])
    total = lambda x: samplers.sample(CLOSURE, jax.random.key(0), x, grid).sum()  # noqa: E731
    close(jax.grad(total)(jnp.ones((2, 1))), 0.125)
    close(jax.vmap(total)(jnp.ones((3, 2, 1))), 0.25)
