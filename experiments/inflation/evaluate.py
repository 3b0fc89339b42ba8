"""What an inflation is judged by: generation, the way there and back, and where latents lie.

    (1)  error of the way there and back, with all latents, and with those of the kept directions alone
    (2)  share of latents within each radius less that of the chi law, in points: of data, of what was generated, of what came back

A field lives in the eigenbasis; what is measured of samples, in the units of the data.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
from jaxtyping import Array

from ddjax import denoisers, flows, inflation, judging, metrics
from ddjax.data import toys
from ddjax.inflation.priors import RADII
from ddjax.judging import Metric
from ddjax.recipes import Inflation, Model
from ddjax.recipes.inflation import grid
from ddjax.types import Batch, Key, Params
from experiments.inflation.denoising_errors import LogLikelihood, correlations, log_likelihood

Sample = Callable[[Key, int], Array]

METHODS = {"euler": flows.euler, "heun": flows.heun, "rk4": flows.rk4}
WAYS = ("data", "generated", "there and back")
BLOCK = 1000  # points of a W_1


def two_waves(key: Key, n: int) -> Array:
    """(u, sin(4 pi u) / 4 + .15 noise), u uniform on [0, 1]."""
    key_u, key_noise = jax.random.split(key)
    u = jax.random.uniform(key_u, (n,))
    return jnp.stack([u, jnp.sin(4 * jnp.pi * u) / 4 + 0.15 * jax.random.normal(key_noise, (n,))], -1)


TOYS: dict[str, Sample] = {
    "circles": lambda key, n: toys.circles(key, n, noise=0.08, factor=0.5).x_0,
    "sine": two_waves,
    "moons": lambda key, n: toys.two_moons(key, n, noise=0.08).x_0,
    "s_curve": lambda key, n: toys.s_curve(key, n, noise=0.2).x_0,
    "swirl": lambda key, n: toys.swiss_roll(key, n, noise=1.25).x_0,
}


def standardised(name: str, *, n: int = 100_000) -> Sample:
    """A toy in units of each axis: mean 0 and variance 1, those of n draws once and for all."""
    sample = TOYS[name]
    points = np.asarray(sample(jax.random.key(0), n), np.float64)
    mean, std = (jnp.asarray(value, float)[None] for value in (points.mean(0), points.std(0)))
    return lambda key, n: (sample(key, n) - mean) / std


def radii(d: int) -> tuple[float, ...]:
    """Seven of them: .5 to 3.5 in up to 3 dimensions, beyond those that hold 5 to 99 percent of the law."""
    if d <= 3:
        return RADII
    return tuple(float(r) for r in scipy.stats.chi(d).ppf([0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 0.99]))


class Judged(NamedTuple):
    """Of one model and seed: errors of eq. (1), departures of eq. (2) [radii] by way, what is drawn, and errors of the denoiser."""

    full: float
    kept: float | None
    departures: dict[str, np.ndarray]
    clouds: dict[str, np.ndarray]
    correlations: dict[str, np.ndarray]
    likelihood: LogLikelihood


def judged(recipe: Inflation, params: Params, data: Array, key: Key, *, steps: int, method: str) -> Judged:
    """Inflate data, generate as much, and go there and back, all in `steps` steps of a method."""
    eigen, along = recipe.eigenbasis(), recipe.noise_schedule()
    prior = inflation.analytic_prior(along, eigen.variances)
    key_prior, key_up, key_down, key_again, key_trip, key_back, key_kept, key_errors, key_density = jax.random.split(
        key, 9
    )
    field = denoisers.bind(recipe.velocity(), params)
    how: dict[str, Any] = {"times": grid(steps), "method": METHODS[method]}
    y = eigen.coordinates(data)
    latents = inflation.inflate(field, key_up, y, **how)
    made = inflation.generate(field, key_down, prior.sample(key_prior, len(y)), **how)
    again = inflation.inflate(field, key_again, made, **how)
    trip = inflation.round_trip(field, key_trip, y, **how)
    back = inflation.inflate(field, key_back, trip.x_0, **how)
    kept = None
    if recipe.keep:
        kept = inflation.round_trip(field, key_kept, y, send=inflation.truncated(recipe.keep), **how)
    at = radii(len(eigen.variances))
    law = np.asarray(inflation.chi_coverage(len(eigen.variances), radii=at))
    departures = {
        way: 100 * (np.asarray(inflation.coverage(of_way, prior, radii=at)) - law)
        for way, of_way in zip(WAYS, (latents, again, back), strict=True)
    }
    clouds = {"data": data, "latents": prior.whitened(latents), "generated": eigen.points(made)}
    clouds |= {"there and back": eigen.points(trip.x_0)}
    clouds |= {f"back from {recipe.keep} of {len(eigen.variances)}": eigen.points(kept.x_0)} if kept else {}
    error = lambda found: float(jnp.mean(found.error))  # noqa: E731
    drawn = {name: np.asarray(x) for name, x in clouds.items()}
    of_times = correlations(recipe, params, y, key_errors), log_likelihood(recipe, params, y, key_density)
    return Judged(error(trip), kept and error(kept), departures, drawn, *of_times)


def distances(features: Callable[[Array], Array] | None = None) -> dict[str, Metric]:
    """W_1 of points; of images, which have features, the Frechet distance."""
    if features:
        frechet = lambda real, fake: float(metrics.frechet_distance(features(real.x_0), features(fake.x_0)))  # noqa: E731
        return {"frechet": Metric("Fréchet distance in the classifier's features", frechet)}
    w_1 = judging.on_points(partial(metrics.wasserstein, p=1.0))
    return {"w1": Metric(f"W₁, Euclidean ground cost, power 1, blocks of {BLOCK:,}", w_1, BLOCK)}


def pca_gaussian(eigen: inflation.Eigenbasis, keep: int) -> Any:
    """Draws of the Gaussian with the first `keep` variances of the data, the others 0: what needs no training."""
    kept = jnp.where(jnp.arange(len(eigen.variances)) < keep, jnp.sqrt(eigen.variances), 0.0)

    def drawn(params: None, key: Key, n: int) -> Array:
        return eigen.points(kept[None] * jax.random.normal(key, (n, len(kept))))

    return drawn


def from_the_kept(recipe: Inflation, model: Model, *, steps: int, method: str) -> Any:
    """Draws from latents of the kept directions alone, the others 0: to stand beside `pca_gaussian` at equal `keep`."""
    eigen, along = recipe.eigenbasis(), recipe.noise_schedule()
    prior = inflation.analytic_prior(along, eigen.variances)
    velocity = recipe.velocity()

    def drawn(params: Params, key: Key, n: int) -> Array:
        key_prior, key_down = jax.random.split(key)
        sent = inflation.truncated(recipe.keep)(prior.sample(key_prior, n))
        field = denoisers.bind(velocity, params)
        return eigen.points(inflation.generate(field, key_down, sent, grid(steps), method=METHODS[method]))

    return drawn


def participation(recipe: Inflation, times: np.ndarray) -> inflation.Participation:
    """PR(t) of the recipe's flow, and of its law in the data's own units and scaled."""
    return inflation.participation(recipe.noise_schedule(), recipe.eigenbasis().variances, times)


def truth(sample: Sample) -> judging.Truth:
    """Fresh data, as judges take it."""
    return lambda key, n: Batch(sample(key, n))
