"""What a trained flow's denoiser gets wrong from time to time, and the likelihood that comes of it.

Correlation matrices over times (`ddjax.inflation.residuals`): errors that stay correlated along the flow add up; innovations along
the forward process are uncorrelated for the exact mean, whatever the data. Densities are those of the flow in the eigenbasis,
which an orthogonal map leaves alone.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
from jaxtyping import Array

from ddjax import denoisers, flows, inflation
from ddjax.recipes import Inflation
from ddjax.types import Key, Params

TIMES = np.linspace(0.0, 1.0, 17)[1:] ** 2  # equal steps of u
POINTS = {"correlations": 2000, "likelihood": 500}
EXACT = 3  # dimensions up to which the divergence is exact, beyond them by 4 probes


def correlations(recipe: Inflation, params: Params, y: Array, key: Key) -> dict[str, np.ndarray]:
    """Matrices [16, 16] of one model over TIMES, by what is correlated, for points y in the eigenbasis."""
    key_path, key_fresh, key_process, *keys = jax.random.split(key, 6)
    y, along, model = y[: POINTS["correlations"]], recipe.noise_schedule(), recipe.predictor()
    denoise, field = (denoisers.bind(of, params) for of in (model, recipe.velocity()))
    path = inflation.inflate_path(field, key_path, y, np.append(TIMES[::-1], 0.0), method=flows.heun).states[1:]
    states = {
        "flow": path,
        "fresh": inflation.fresh_states(along, key_fresh, y, TIMES),
        "process": inflation.process_states(along, key_process, y, TIMES),
    }
    made = {way: inflation.outputs(denoise, key, x, TIMES) for key, (way, x) in zip(keys, states.items(), strict=True)}
    errors = {
        "outputs along the flow": made["flow"],
        "residuals along the flow": inflation.residuals(made["flow"], y),
        "residuals, fresh noise": inflation.residuals(made["fresh"], y),
        "innovations along the process": inflation.innovations(made["process"], y),
    }
    return {what: np.asarray(inflation.autocorrelation(values)) for what, values in errors.items()}


class LogLikelihood(NamedTuple):
    """Mean log density of fresh data in nats, its standard error, and that of PCA's Gaussian at the same points."""

    mean: float
    error: float
    gaussian: float


def log_likelihood(recipe: Inflation, params: Params, y: Array, key: Key) -> LogLikelihood:
    """Of one model at points y in the eigenbasis."""
    y, eigen = y[: POINTS["likelihood"]], recipe.eigenbasis()
    field = denoisers.bind(recipe.velocity(), params)
    divergence = flows.exact_divergence if y.shape[1] <= EXACT else flows.hutchinson(4)
    found = flows.log_density(field, recipe.noise_schedule(), key, y, divergence=divergence, tolerance=1e-4)
    log_p = np.asarray(found.log_prob, np.float64)
    plain = scipy.stats.norm.logpdf(np.asarray(y), scale=np.asarray(jnp.sqrt(eigen.variances))).sum(1)
    return LogLikelihood(float(log_p.mean()), float(log_p.std() / np.sqrt(len(log_p))), float(plain.mean()))
