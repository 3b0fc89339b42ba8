"""A schedule may have a number for each coordinate, and all that takes a schedule follows one rule (`schedules.Scales`).

One table over all of it; what is added needs a row. A row computes in units of its own: with u those of x_0 and q those of x_t,
the schedule is alpha q / u, sigma q, and what comes out is turned back. Any scales at one time are such units of scalar ones. Where
the rates or two times count, coordinates with schedules of their own must do as each does alone. Mutations: `sigma[0]` for
`sigma` anywhere; a sum of squares divided by one sigma; a rate of the first coordinate for all.
"""

import importlib
import inspect
import pkgutil
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ddjax
from ddjax import (
    denoisers,
    flows,
    inflation,
    judging,
    mixtures,
    objectives,
    paths,
    predictions,
    samplers,
    schedules,
    score_matching,
    scoring,
    sde,
    times,
    weights,
)  # fmt: skip
from ddjax.recipes.sampling import by_bridge, by_flow, by_jumps, by_renoise
from ddjax.schedules import Scales
from ddjax.types import Network, Schedule

pytestmark = pytest.mark.usefixtures("x64", "promoted")

T, S = 0.4, 0.15
U, Q = np.array([2.0, 0.6]), np.array([0.5, 3.0])
X_0 = np.array([[0.3, -0.8], [1.1, 0.4], [-0.5, 0.9], [0.2, 2.0]])
X_T = np.array([[0.7, -0.2], [0.4, -1.1], [-0.9, 0.3], [1.5, 0.6]])
NOISE = np.array([[0.1, 1.2], [-0.6, 0.5], [0.8, -1.0], [0.4, 0.2]])
VARIANCES = np.array([1.7, 0.4])
ALONE = (schedules.Cosine(), schedules.OrnsteinUhlenbeck(3.0))  # one of each coordinate


@pytest.fixture
def promoted():
    """The rows multiply batches by units."""
    with jax.numpy_rank_promotion("allow"):
        yield


def key():
    return jax.random.key(3)


class Problem(NamedTuple):
    """A schedule with the units of x_0 and of x_t, and the coordinates that are there."""

    schedule: Any
    u: np.ndarray
    q: np.ndarray
    columns: tuple = (0, 1)

    def take(self, a):
        return jnp.asarray(np.asarray(a, float)[..., list(self.columns)])

    def data(self, a=X_0):
        return self.take(a) * self.u

    def state(self, a=X_T):
        return self.take(a) * self.q

    def wide(self, value):
        return jnp.broadcast_to(value, self.u.shape)

    def mean(self, x_t):
        """A denoiser of single coordinates, in any units."""
        bias = self.take([0.3, -0.2])
        return self.u * (0.6 * x_t / self.q + bias)

    def draw(self, params, key, x_t, t, cond=None):
        return jax.vmap(self.mean)(x_t) + self.u * 0.2 * jax.random.normal(key, x_t.shape)

    def denoise(self, key, x_t, t):
        return jax.vmap(self.mean)(x_t)

    def velocity(self, params, key, x_t, t, cond=None):
        return self.q * jax.vmap(lambda x, t: -(1 + t) * x / self.q + 0.1 * (x / self.q) ** 2)(x_t, t)

    def score(self, x_t, t):
        """Not the gradient of anything, so that traces and squares both count."""
        x = x_t / self.q
        return (-(1 + t) * x + 0.3 * x[::-1] + 0.2 * x**2) / self.q

    def network(self, *, noise=1.0):
        """Predicts noise, which has no units."""
        apply = lambda params, x_t, t, cond, xi: 0.5 * x_t / self.q + (0.3 * noise * xi if noise else 0)  # noqa: E731
        return Network(lambda key: None, apply)

    def mixture(self):
        means, covs = (
            np.array([[1.0, 0.5], [-0.7, 0.2]]),
            np.array([[[0.5, 0.2], [0.2, 0.3]], [[0.2, -0.1], [-0.1, 0.9]]]),
        )
        u = np.asarray(self.u)
        return mixtures.GaussianMixture(np.array([0.3, 0.7]), means * u, covs * u[:, None] * u[None])


def scalar():
    return Problem(schedules.Cosine(), np.ones(2), np.ones(2))


def in_units(u, q):
    """The same problem in other units, of which 1 and 1 are scales of equal entries."""

    def schedule(t):
        alpha, sigma = schedules.Cosine()(t)
        return Scales(alpha * jnp.asarray(q / u), sigma * jnp.asarray(q))

    return Problem(schedule, u, q)


def of_both():
    def schedule(t):
        return Scales(*(jnp.stack(scales) for scales in zip(*(alone(t) for alone in ALONE), strict=True)))

    return Problem(schedule, np.ones(2), np.ones(2))


def of_one(j):
    return Problem(ALONE[j], np.ones(1), np.ones(1), (j,))


class Row(NamedTuple):
    """Args:
    call: of a problem, arrays in plain units.
    units: "uq" for any of x_0 and x_t, "u" or "q" for those in which its errors are measured, "" where a mean over coordinates is.
    alone: "each" where the last axis is of coordinates that do not meet, "sum" where numbers of coordinates add up.
    closed: of a problem, what the call must give, by NumPy.
    """

    call: Any
    units: str = "uq"
    alone: str = ""
    closed: Any = None


def at(value, p):
    return jnp.full(len(value), T)


def rates(p):
    scales, rates = schedules.with_rates(p.schedule, T)
    return [p.wide(value) for value in (*(s * f for s, f in zip(scales, (p.u / p.q, 1 / p.q), strict=True)),
                                        *(r * f for r, f in zip(rates, (p.u / p.q, 1 / p.q), strict=True)))]  # fmt: skip


def weight(make, factor):
    return lambda p: p.wide(make(p.schedule)(T) * factor(p))


def bridge(p):
    mean, std = paths.bridge(p.schedule, p.data()[0], p.state()[0], T, S, churn=0.8)
    return mean / p.q, p.wide(std) / p.q


CONVERTED = {  # factors of a value in plain units, and back
    ("x0", "velocity"): (lambda p: p.u, lambda p: 1 / p.q),
    ("noise", "score"): (lambda p: 1.0, lambda p: p.q),
    ("velocity", "score"): (lambda p: p.q, lambda p: p.q),
    ("score", "velocity"): (lambda p: 1 / p.q, lambda p: 1 / p.q),
}


def converted(source, target):
    into, back = CONVERTED[source, target]
    return lambda p: (
        predictions.convert(p.schedule, p.state()[0], T, p.take(NOISE)[0] * into(p), source=source, target=target)
        * back(p)
    )


def stepped(make, **settings):
    """One step to S, and one to 0."""

    def call(p):
        step = make(p.denoise, p.schedule, **settings)
        return [step(key(), p.state(), jnp.asarray(T), jnp.asarray(s)) / p.q for s in (S, 0.0)]

    return call


def lost(make, units="uq", only=("loss",), **settings):
    """The metrics of a loss of plain numbers: its rule, if there is one, is one of x_0 / u."""

    def call(p):
        model = settings.get("model", "draw")
        loss_fn = make(
            getattr(p, model),
            p.schedule,
            **{k: v(p) if callable(v) else v for k, v in settings.items() if k != "model"},
        )
        told = loss_fn(None, key(), p.data())[1]
        return [told[name] for name in only]

    return Row(call, units)


def rule(p):
    return lambda samples, observation, t: scoring.Energy(1.5)(samples / p.u, observation / p.u, t)


def law(p):
    return lambda key, n: jnp.linspace(0.2, 0.8, n)


def matched(make, *rest):
    """A loss of scores, under the weight that it has by default."""

    def call(p):
        score = lambda params, key, x_t, t, cond: jax.vmap(p.score)(x_t, t)  # noqa: E731
        return make(score, *(r(p) for r in rest), p.schedule, times=law(p))(None, key(), p.data())[0]

    return Row(call)


def walked(make, model, **settings):
    def call(p):
        sampler = make(getattr(p, model), p.schedule, (2,), **settings)
        return sampler(None, key(), 3, times.grid(3)) / p.q

    return Row(call)


def average(self, params, key, x_t, t, r, cond=None):
    return self.velocity(params, key, x_t, (t + r) / 2)


Problem.average = average


def likelihood(p):
    field = denoisers.bind(p.velocity, None)
    return flows.log_density(field, p.schedule, key(), p.state()[:2], start=0.1, tolerance=1e-9).log_prob


def guessed(p):
    log_likelihood = lambda x_0: -jnp.sum((x_0 / p.u - 1) ** 2)  # noqa: E731
    return samplers.plugged_in(p.denoise, log_likelihood, p.schedule, scale=0.7)(key(), p.state(), at(X_T, p)) / p.u


MATRIX, Y, SPREAD = np.array([[1.0, -0.5], [0.3, 2.0], [0.4, 0.1]]), np.array([[0.5, 1.0, -0.3]] * 4), 1.3


def gaussian(p):
    """The exact mean of N(0, SPREAD I), which pseudoinverse guidance makes the exact mean given y."""
    alpha, sigma = p.schedule(T)
    denoise = lambda key, x_t, t: jax.vmap(lambda x: alpha * SPREAD / (alpha**2 * SPREAD + sigma**2) * x)(x_t)  # noqa: E731
    guided = samplers.pseudoinverse_guided(denoise, MATRIX, p.schedule, y=jnp.asarray(Y), noise=0.4, variance=SPREAD)
    return guided(key(), p.state(), at(X_T, p))


def exact_gaussian(p):
    alpha, sigma = (np.broadcast_to(scale, 2) for scale in p.schedule(T))
    seen, noise = np.vstack([np.diag(alpha), MATRIX]), np.concatenate([sigma**2, [0.16] * 3])
    precision = np.eye(2) / SPREAD + seen.T / noise @ seen
    return np.linalg.solve(precision, seen.T / noise @ np.concatenate([p.state(), Y], 1).T).T


def pursued(p):
    log_likelihood = lambda x_0: -jnp.sum((x_0 / p.u - 1) ** 2)  # noqa: E731
    denoise = partial(p.draw, None)
    found = samplers.particles(denoise, log_likelihood, p.schedule, key(), p.state(), times.grid(3), draws=3)
    return found.x_0 / p.q, found.effective


def distances(p):
    return objectives.sinkhorn_term(p.draw, p.schedule, blur=0.5, times=law(p))(None, key(), p.data())[0]


def calibrated(p):
    found = judging.calibration(p.draw, None, p.mixture(), p.schedule, key(), [T], n=40, size=4)
    return found.rank_pvalue, found.spread_skill


def spreads(p):
    found = judging.spread_curve(p.draw, [None], p.mixture(), p.schedule, key(), [T], n=5, size=4)
    return found.learned, found.exact


def diffused(p):
    of_t = p.mixture().diffuse(p.schedule, T)
    return of_t.log_prob(p.state()[0]) + np.log(p.q).sum(), of_t.cov() / p.q[:, None] / p.q[None]


def posterior(p):
    of_0 = p.mixture().posterior(p.schedule, p.state()[0], T)
    return of_0.mean() / p.u, of_0.cov() / p.u[:, None] / p.u[None], jnp.sort(of_0.weights)


def oracle_draws(p):
    """Mean and covariance of 3,000 draws: how far off, in standard errors, where that is more than 5."""
    draw = mixtures.oracle(p.mixture(), p.schedule)
    x = np.asarray(draw(None, key(), jnp.broadcast_to(p.state()[0], (3000, 2)), jnp.full(3000, T)))
    mean, cov = exact_moments(p)
    off = x - mean
    products = (off[:, :, None] * off[:, None, :] - cov).reshape(-1, 4)
    both = np.concatenate([off, products], 1)
    return np.maximum(np.abs(both.mean(0)) / (both.std(0) / len(x) ** 0.5), 5.0)


def exact_moments(p):
    """Mean and covariance of x_0 given x_t, by NumPy, component by component."""
    mixture, x = p.mixture(), np.asarray(p.state()[0])
    alpha, sigma = (np.broadcast_to(scale, 2) for scale in p.schedule(T))
    logs, means, covs = [], [], []
    for w, mu, cov in zip(*(np.asarray(a) for a in (mixture.weights, mixture.means, mixture.covs)), strict=True):
        total = np.diag(alpha) @ cov @ np.diag(alpha) + np.diag(sigma**2)
        gain = cov @ np.diag(alpha) @ np.linalg.inv(total)
        off = x - alpha * mu
        logs.append(np.log(w) - off @ np.linalg.inv(total) @ off / 2 - np.log(np.linalg.det(total)) / 2)
        means.append(mu + gain @ off)
        covs.append(cov - gain @ np.diag(alpha) @ cov)
    r = np.exp(logs - np.logaddexp(*logs))
    mean = r @ means
    cov = sum(w * (c + np.outer(m - mean, m - mean)) for w, m, c in zip(r, means, covs, strict=True))
    return mean, cov


def ratios(p):
    alpha, sigma = (np.broadcast_to(scale, 2) for scale in p.schedule(T))
    of = lambda v: v.sum() ** 2 / (v**2).sum()  # noqa: E731
    spread = alpha**2 * VARIANCES + sigma**2
    return [of(spread / alpha**2), of(spread), of(spread / VARIANCES)]


def coefficients(make, variances=VARIANCES):
    def call(p):
        skip, out, into = make(p.schedule, np.asarray(variances)[list(p.columns)] * p.u**2)(T)
        return p.wide(skip * p.q / p.u), p.wide(out / p.u), p.wide(into * p.q)

    return call


def mean_coefficients(p):
    alpha, sigma = (np.broadcast_to(scale, 2) for scale in p.schedule(T))
    s, alpha, sigma = VARIANCES.mean() ** 0.5, alpha.mean(), (sigma**2).mean() ** 0.5
    into = 1 / np.sqrt(alpha**2 * s**2 + sigma**2)
    return [np.broadcast_to(value, 2) for value in (alpha * s**2 * into**2, s * sigma * into, into)]


def of_mixture(call):
    return lambda p: call(p.mixture(), p.schedule)


ROWS = {
    "schedules.scales_at": [
        Row(
            lambda p: [
                p.wide(s * f) for s, f in zip(schedules.scales_at(p.schedule, T), (p.u / p.q, 1 / p.q), strict=True)
            ],
            alone="each",
        )
    ],
    "schedules.with_rates": [Row(rates, alone="each")],
    "schedules.spread_rate": [Row(lambda p: p.wide(schedules.spread_rate(p.schedule, T)) / p.q**2, alone="each")],
    "schedules.squared_diffusion": [
        Row(lambda p: p.wide(schedules.squared_diffusion(p.schedule, T)) / p.q**2, alone="each")
    ],
    "schedules.logsnr": [Row(lambda p: p.wide(schedules.logsnr(p.schedule, T)) + 2 * np.log(p.u), alone="each")],
    "schedules.snr_loss": [
        Row(lambda p, s=s: p.wide(schedules.snr_loss(p.schedule, T, s)), alone="each") for s in (S, T - 1e-3)
    ],
    "times.matched": [  # one coordinate that starts like sqrt(t) is enough
        Row(lambda p: times.matched(p.schedule, 3)),
        Row(lambda p: times.matched(p.schedule, 3), "", closed=lambda p: times.grid(3, "quadratic")),
    ],
    "weights.snr": [Row(weight(weights.snr, lambda p: p.u**2), alone="each")],
    "weights.sigmoid": [Row(weight(weights.sigmoid, lambda p: 1.0), "q", alone="each")],
    "weights.edm": [Row(weight(weights.edm, lambda p: 1.0), "q", alone="each")],
    "weights.variance": [Row(weight(weights.variance, lambda p: p.q**-2), alone="each")],
    "weights.likelihood": [Row(weight(weights.likelihood, lambda p: p.q**-2), alone="each")],
    "weights.on_scores": [Row(weight(lambda s: weights.on_scores(s, weights.snr(s)), lambda p: p.q**-2), alone="each")],
    "paths.interpolate": [
        Row(lambda p: paths.interpolate(p.schedule, p.data()[0], p.take(NOISE)[0], T) / p.q, alone="each")
    ],
    "paths.prior": [Row(lambda p: paths.prior(p.schedule, key(), (3, 2)) / p.q)],
    "paths.bridge": [Row(bridge, alone="each")],
    "predictions.convert": [Row(converted(*kinds), alone="each") for kinds in CONVERTED],
    "predictions.of_network": [
        Row(
            lambda p: (
                predictions.of_network(
                    p.network(noise=0), p.schedule, "noise", "velocity", None, key(), p.state(), at(X_T, p)
                )
                / p.q
            ),
            alone="each",
        )
    ],
    "denoisers.mean": [
        Row(
            lambda p: (
                denoisers.mean(p.network(noise=0), p.schedule, predicts="noise")(None, key(), p.state(), at(X_T, p))
                / p.u
            ),
            alone="each",
        )
    ],
    "denoisers.distributional": [
        Row(
            lambda p: (
                denoisers.distributional(p.network(), p.schedule, predicts="noise")(None, key(), p.state(), at(X_T, p))
                / p.u
            )
        )
    ],
    "flows.velocity": [
        Row(lambda p: flows.velocity(p.denoise, p.schedule)(key(), p.state(), at(X_T, p)) / p.q, alone="each")
    ],
    "flows.network_velocity": [
        Row(
            lambda p: (
                flows.network_velocity(p.network(noise=0), p.schedule, predicts="noise")(
                    None, key(), p.state(), at(X_T, p)
                )
                / p.q
            ),
            alone="each",
        )
    ],
    "flows.log_density": [Row(lambda p: likelihood(p) + np.log(p.q).sum())],
    "sde.of_schedule": [
        Row(
            lambda p: [
                sde.of_schedule(p.schedule).drift(p.state()[0], T) / p.q,
                p.wide(sde.of_schedule(p.schedule).diffusion(p.state()[0], T)) / p.q,
            ],
            alone="each",
        )
    ],
    "sde.prior_gap": [Row(lambda p: sde.prior_gap(p.schedule, p.data()[0], T), "u", alone="sum")],
    "mixtures.GaussianMixture.diffuse": [Row(diffused)],
    "mixtures.GaussianMixture.posterior": [Row(posterior)],
    "mixtures.GaussianMixture.score": [Row(lambda p: p.mixture().score(p.schedule, p.state()[0], T) * p.q)],
    "mixtures.GaussianMixture.velocity": [
        Row(
            lambda p: p.mixture().velocity(p.schedule, p.state()[0], T) / p.q,
            closed=lambda p: (
                predictions.convert(
                    p.schedule,
                    p.state()[0],
                    T,
                    inflation.mixture_oracle(p.mixture(), p.schedule)(None, key(), p.state()[:1], jnp.full(1, T))[0],
                    source="x0",
                    target="velocity",
                )
                / p.q
            ),
        )
    ],
    "mixtures.oracle": [Row(oracle_draws, "", closed=lambda p: np.full(6, 5.0))],
    "mixtures.mean_oracle": [
        Row(lambda p: of_mixture(mixtures.mean_oracle)(p)(None, key(), p.state(), at(X_T, p)) / p.u)
    ],
    "score_matching.mixture_score": [
        Row(lambda p: of_mixture(score_matching.mixture_score)(p)(p.state()[0], jnp.asarray(T)) * p.q)
    ],
    "score_matching.class_likelihood": [
        Row(lambda p: score_matching.class_likelihood(p.mixture(), p.schedule, np.arange(2), 1)(p.state()[0], T))
    ],
    "score_matching.linear_likelihood": [
        Row(
            lambda p: score_matching.linear_likelihood(
                p.mixture(), p.schedule, jnp.asarray(MATRIX / p.u), jnp.asarray(Y[0]), jnp.eye(3)
            )(p.state()[0], T)
        )
    ],
    "score_matching.network_score": [
        Row(
            lambda p: (
                score_matching.network_score(p.network(noise=0), p.schedule)(None, key(), p.state(), at(X_T, p)) * p.q
            ),
            alone="each",
        )
    ],
    "score_matching.denoising": [
        Row(
            lambda p: score_matching.denoising(
                p.score, p.schedule, key(), p.data(), T, weight=weights.variance(p.schedule)
            )
        )
    ],
    "score_matching.denoising_loss": [matched(score_matching.denoising_loss)],
    "score_matching.explicit_loss": [
        matched(score_matching.explicit_loss, lambda p: lambda x, t: -p.score(x, t) + 1 / p.q)
    ],
    "score_matching.implicit_loss": [matched(score_matching.implicit_loss)],
    "score_matching.sliced_loss": [
        matched(partial(score_matching.sliced_loss, probes=2, reduced=reduced)) for reduced in (False, True)
    ],
    "samplers.bridge": [
        Row(stepped(samplers.bridge, churn=0.0), alone="each"),
        Row(stepped(samplers.bridge, churn=0.6)),
    ],
    "samplers.renoise": [Row(stepped(samplers.renoise))],
    **{
        f"samplers.{make.__name__}": [Row(stepped(make), alone="each")]
        for make in (samplers.euler, samplers.midpoint, samplers.heun, samplers.rk4)
    },
    "samplers.plugged_in": [Row(guessed, alone="each")],
    "samplers.pseudoinverse_guided": [Row(gaussian, "", closed=exact_gaussian)],
    "samplers.particles": [Row(pursued)],
    "objectives.distributional": [
        lost(objectives.distributional, score=rule, times=law, size=3, references=references) for references in (1, 2)
    ],
    "objectives.denoising": [lost(objectives.denoising, "q", times=law)],
    "objectives.consistency": [lost(objectives.consistency, "q", times=law, huber=0.3)],
    "objectives.flow_matching": [lost(objectives.flow_matching, "u", times=law, model="velocity")],
    "objectives.mean_flow": [
        lost(objectives.mean_flow, "u", ("unweighted",), times=law, model="average", improved=improved)
        for improved in (False, True)
    ],
    "objectives.sinkhorn_term": [Row(distances, "q")],
    "recipes.by_bridge": [walked(by_bridge, "draw")],
    "recipes.by_renoise": [walked(by_renoise, "draw")],
    "recipes.by_flow": [walked(by_flow, "velocity")],
    "recipes.by_jumps": [walked(by_jumps, "average")],
    "inflation.analytic_prior": [
        Row(lambda p: inflation.analytic_prior(p.schedule, p.take(VARIANCES) * p.u**2).std / p.q, alone="each")
    ],
    "inflation.gaussian_oracle": [
        Row(
            lambda p: (
                inflation.gaussian_oracle(p.take(VARIANCES) * p.u**2, p.schedule)(None, key(), p.state(), at(X_T, p))
                / p.u
            ),
            alone="each",
        )
    ],
    "inflation.mixture_oracle": [
        Row(lambda p: of_mixture(inflation.mixture_oracle)(p)(None, key(), p.state(), at(X_T, p)) / p.u)
    ],
    "inflation.participation": [
        Row(
            lambda p: [value[0] for value in inflation.participation(p.schedule, VARIANCES, jnp.full(1, T))],
            "",
            closed=ratios,
        )
    ],
    "inflation.scaled_variances": [
        Row(lambda p: inflation.scaled_variances(p.schedule, p.take(VARIANCES) * p.u**2, T) / p.q**2, alone="each")
    ],
    "inflation.unscaled_variances": [
        Row(lambda p: inflation.unscaled_variances(p.schedule, p.take(VARIANCES) * p.u**2, T) / p.u**2, alone="each")
    ],
    "inflation.Anisotropic": [Row(coefficients(inflation.Anisotropic), alone="each")],
    "inflation.EigenEDM": [Row(coefficients(inflation.EigenEDM, [0.7, 0.7]), "q", alone="each")],
    "inflation.EDM": [Row(coefficients(inflation.EDM), "", closed=mean_coefficients)],
    "inflation.process_states": [
        Row(lambda p: inflation.process_states(p.schedule, key(), p.data(), jnp.array([S, T, 0.8])) / p.q)
    ],
    "inflation.fresh_states": [
        Row(lambda p: inflation.fresh_states(p.schedule, key(), p.data(), jnp.array([S, T, 0.8])) / p.q)
    ],
    "judging.calibration": [Row(calibrated, "q")],
    "judging.spread_curve": [Row(spreads, "q")],
}


def takers():
    """All functions, classes and methods of the package with an argument that is a schedule."""
    for found in pkgutil.walk_packages(ddjax.__path__, "ddjax."):
        if {"cli", "__main__"} & {*found.name.split(".")}:
            continue
        room = found.name.split(".")[1]
        for thing in vars(importlib.import_module(found.name)).values():
            if not (inspect.isfunction(thing) or inspect.isclass(thing)) or thing.__module__ != found.name:
                continue
            methods = [one for one in vars(thing).values() if inspect.isfunction(one)] if inspect.isclass(thing) else []
            for one in (thing, *methods):
                name = one.__qualname__
                if not any(part.startswith("_") for part in name.split(".")) and _takes_schedule(one):
                    yield f"{room}.{name}"


def _takes_schedule(function):
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # a type without one
        return False
    return any(parameter.annotation == Schedule for parameter in parameters)


def test_all_that_takes_a_schedule_has_a_row():
    assert {*takers()} == {*ROWS}
    assert all(row.units or row.alone or row.closed for rows in ROWS.values() for row in rows)


CASES = {f"{name} {i}": row for name, rows in ROWS.items() for i, row in enumerate(rows)}


def close(a, b):
    for found, expected in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(np.asarray(found, float), np.asarray(expected, float), rtol=1e-6, atol=1e-9)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("case", CASES)
def test_scales_of_each_coordinate_are_right(case):
    """Equal entries do as a scalar, other units give the same numbers, coordinates that do not meet are each right alone."""
    row = CASES[case]
    expected = row.call(scalar())
    u, q = (unit if name in row.units else np.ones(2) for name, unit in {"u": U, "q": Q}.items())
    close(row.call(in_units(u, q)), expected)
    if row.alone:
        together, *alone = (jax.tree.leaves(row.call(p)) for p in (of_both(), of_one(0), of_one(1)))
        for both, *each in zip(together, *alone, strict=True):
            close(both, sum(each) if row.alone == "sum" else jnp.concatenate(each, -1))
    if row.closed:
        close(row.call(of_both()), row.closed(of_both()))


WEIGHTED = {
    objectives.distributional: "draw", objectives.denoising: "draw", objectives.consistency: "draw",
    objectives.flow_matching: "velocity",
}  # fmt: skip


@pytest.mark.sampled(4)
@pytest.mark.parametrize("make", WEIGHTED)
def test_an_example_has_one_weight(make):
    """A number for each coordinate is refused with what to pass instead, also for as many examples as coordinates; the mean of
    equal ones is the scalar. Mutation: the weights broadcast."""
    p, q = of_both(), in_units(np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match=r"scalar, got .*\(2,\).*jnp.mean"):
        make(getattr(p, WEIGHTED[make]), p.schedule, weight=weights.sigmoid(p.schedule))(None, key(), p.data()[:2])
    mean = lambda t: jnp.mean(weights.sigmoid(q.schedule)(t))  # noqa: E731
    values = [
        make(getattr(of, WEIGHTED[make]), of.schedule, weight=weight)(None, key(), of.data())[0]
        for of, weight in ((q, mean), (scalar(), weights.sigmoid(scalar().schedule)))
    ]
    close(*values)
