"""Bayesian inference through inflationary flows."""

import importlib
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ddjax import inflation, mixtures
from ddjax.cli import UserError
from ddjax.mixtures import GaussianMixture
from experiments.common import exact_flows, study
from experiments.common.exact_flows import ExactFlow
from experiments.inflation_inference import evaluate as posterior_judges
from experiments.inflation_inference import report as posterior_pages
from experiments.inflation_inference.settings import Config

WEIGHTS = (0.5, 0.25, 0.25)
SHOWN, RANKED = 500, 99  # draws that are kept, of a posterior that is shown and of one that is ranked
LEVEL, WRONG = 0.05, 1e-3
NOISE, RADIUS, CLOUD = 0.08, 0.15, 1000  # of the moons, of the balls in them, and points of each


def run(config: Config) -> None:
    """Infer, calibrate, distort, write."""
    require()
    began = time.monotonic()
    folder = study.folder(config, "inflation_inference")
    key_shown, key_ranked, key_balls = jax.random.split(jax.random.key(config.seed), 3)
    shown, errors = posteriors(config, key_shown)
    print(f"posteriors: {time.monotonic() - began:.0f} s", flush=True)
    ranks = {}
    ranked = ways(config)
    for (name, way), key in zip(ranked.items(), jax.random.split(key_ranked, len(ranked)), strict=True):
        ranks[name] = ranks_of(config, key, way)
        print(f"ranks of {name}: {time.monotonic() - began:.0f} s", flush=True)
    calibrated = {name: [posterior_judges.uniformity(column, RANKED) for column in of.T] for name, of in ranks.items()}
    found = posterior_pages.findings(
        shown, errors, calibrated, ranks, balls(config, key_balls), truth=WEIGHTS, kept=RANKED, n=config.n, level=LEVEL
    )
    study.write(folder, "inflation_inference", config, found, began)
    worst = posterior_judges.bonferroni([weight for of in calibrated.values() for weight in of])
    if worst < WRONG:
        raise SystemExit(f"error: ranks are not uniform, p = {worst:.1g} with Bonferroni's correction, below {WRONG:g}")


def require() -> None:
    """Raises: UserError where blackjax is not installed."""
    try:
        importlib.import_module("blackjax")
    except ImportError:
        raise UserError(
            'the sampler is that of blackjax, which is not installed: pip install "ddjax[inference]"'
        ) from None


def target() -> GaussianMixture:
    """Three components that overlap, so that labels are not known from the observations."""
    means = np.array([[0.0, 0.9], [-1.8, -0.5], [1.7, -0.6]])
    covs = np.array([[[0.5, 0.2], [0.2, 0.3]], [[0.3, 0.0], [0.0, 0.4]], [[0.4, -0.25], [-0.25, 0.4]]])
    return mixtures.GaussianMixture(np.array(WEIGHTS), means, covs)


def chosen_flows() -> dict[str, ExactFlow]:
    """Both flows of the target."""
    return {"preserving": exact_flows.preserving(target()), "reducing": exact_flows.reducing(target(), keep=1)}


def posteriors(config: Config, key: Any) -> tuple[dict[str, Any], dict[str, float]]:
    """Draws [chains, kept, k] by data set, and the round trips' root mean squared errors, in standard deviations of the data.

    The data hold of each component the share that its weight says, or one data set in ten would have the truth outside by luck;
    generated data take what the latents give.
    """
    mixture, times = target(), inflation.variance_preserving(config.flow_steps)
    key_data, key_chains, *keys = jax.random.split(key, 6)
    x = posterior_judges.balanced(mixture, key_data, config.n)
    data, errors = {"original": x}, {}
    scale = float(jnp.sqrt(jnp.mean(jnp.var(x, 0))))
    for (name, flow), key_flow in zip(chosen_flows().items(), keys, strict=False):
        key_trip, key_fresh = jax.random.split(key_flow)
        data[f"{name}, round trip"] = exact_flows.returned(flow, key_trip, x, times)
        data[f"{name}, fresh latents"] = exact_flows.generated(flow, key_fresh, config.n, times)
        errors[f"{name}, round trip"] = float(jnp.sqrt(jnp.mean((data[f"{name}, round trip"] - x) ** 2)) / scale)
    lost = "reducing, second latent dropped"
    data[lost] = exact_flows.returned(flow, keys[-1], x, times, keep=1)
    errors[lost] = float(jnp.sqrt(jnp.mean((data[lost] - x) ** 2)) / scale)
    length = posterior_judges.Length(config.warmup, SHOWN, config.thin)
    seen = jnp.stack([posterior_judges.likelihoods(mixture, points) for points in data.values()])
    draws = posterior_judges.chains(key_chains, seen, prior(config), size=config.chains, length=length)
    return dict(zip(data, np.asarray(draws), strict=True)), errors


def prior(config: Config) -> Any:
    """The concentrations [k]."""
    return jnp.full(len(WEIGHTS), config.concentration)


def ways(config: Config) -> dict[str, Callable[[Any, Any], Any]]:
    """By name: (key, weights [runs, k]) -> data sets [runs, n, d], from the model of those weights.

    A round trip goes through the flow of the target, whatever the weights; generated data come from that of their own weights.
    """
    mixture, times = target(), inflation.variance_preserving(config.flow_steps)

    def sampled(key: Any, weights: Any) -> Any:
        draw = lambda key, w: mixtures.GaussianMixture(w, mixture.means, mixture.covs).sample(key, config.n)  # noqa: E731
        return jax.vmap(draw)(jax.random.split(key, len(weights)), weights)

    def returned(flow: ExactFlow, key: Any, weights: Any) -> Any:
        key_data, key_flow = jax.random.split(key)
        x = sampled(key_data, weights)
        return exact_flows.returned(flow, key_flow, x.reshape(-1, x.shape[-1]), times).reshape(x.shape)

    def generated(flow: ExactFlow, key: Any, weights: Any) -> Any:
        key_latents, key_flow = jax.random.split(key)
        white = jax.random.normal(key_latents, (len(weights), config.n * mixture.means.shape[1]))

        def one(w: Any, white: Any) -> Any:
            points = white.reshape(config.n, -1)
            return exact_flows.deflated(exact_flows.reweighted(flow, w), key_flow, points, times)

        return jax.vmap(one)(weights, white)

    found = {"original": sampled}
    for name, flow in chosen_flows().items():
        found[f"{name}, round trip"] = lambda *args, flow=flow: returned(flow, *args)
        found[f"{name}, fresh latents"] = lambda *args, flow=flow: generated(flow, *args)
    return found


def ranks_of(config: Config, key: Any, way: Callable[[Any, Any], Any]) -> Any:
    """Ranks [runs, k] of weights drawn from the prior among draws from their posteriors given the data of a way."""
    key_weights, key_data, key_chains = jax.random.split(key, 3)
    weights = jax.random.dirichlet(key_weights, prior(config), (config.runs,))
    seen = jax.jit(
        lambda key, weights: jax.vmap(lambda x: posterior_judges.likelihoods(target(), x))(way(key, weights))
    )(key_data, weights)
    length = posterior_judges.Length(config.warmup, RANKED, config.thin)
    draws = posterior_judges.chains(key_chains, seen, prior(config), size=1, length=length)
    return np.asarray(posterior_judges.ranks(weights, draws[:, 0]))


def balls(config: Config, key: Any) -> Any:
    """What both flows of the moons do to two small balls."""
    times, law = inflation.variance_preserving(config.flow_steps), exact_flows.moons(noise=NOISE)
    made = {"preserving": exact_flows.preserving(law), "reducing": exact_flows.reducing(law, keep=1)}
    return posterior_judges.distortions(key, law, made, times, radius=RADIUS, n=CLOUD)
