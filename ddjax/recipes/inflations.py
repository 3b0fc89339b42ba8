"""The parts of an inflationary flow that a recipe names: its eigenbasis, its schedule, its denoiser, its loss and its sampler.

(A)  y = B^T (x - mean),   y_1 ~ N(0, alpha(1)^2 s^2 + sigma(1)^2),   y_0 by Heun's method along the probability flow
(B)  u = sqrt(t): what the network is told, and steps of equal size in; C(t) has grown by as much as the data after 1/10 of all t
"""

import base64
import binascii
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from jax.tree_util import Partial
from jaxtyping import Array

from ddjax import denoisers, flows, inflation, objectives, times
from ddjax.inflation.preconditioning import Preconditioning
from ddjax.recipes.drawing import Sampler, by_flow
from ddjax.recipes.recipe import Recipe
from ddjax.types import Apply, Denoiser, Key, LossFn, Network, Params, Schedule, Velocity

_NORMAL_HORIZON = 15.01  # the paper's: its normal times lie beyond the horizon that a Gaussian prior needs
_PRECONDITIONINGS = {"anisotropic": inflation.Anisotropic, "edm": inflation.EDM, "eigen_edm": inflation.EigenEDM}


def written(eigen: inflation.Eigenbasis) -> str:
    """An eigenbasis as text in float32, for `Recipe.eigen`."""
    arrays = {name: np.asarray(value, np.float32) for name, value in eigen._asdict().items()}
    return base64.b64encode(safetensors.numpy.save(arrays)).decode()


def eigenbasis(recipe: Recipe) -> inflation.Eigenbasis:
    """The eigenbasis that a recipe holds, known under jit too.

    Raises: ValueError for text that holds none, or one of other data.
    """
    dtype = jax.dtypes.canonicalize_dtype(float)
    try:
        arrays = safetensors.numpy.load(base64.b64decode(recipe.eigen, validate=True))
        eigen = inflation.Eigenbasis(**{name: value.astype(dtype) for name, value in arrays.items()})
    except (binascii.Error, safetensors.SafetensorError, TypeError) as error:
        raise ValueError(f"the recipe {recipe.name!r} holds no eigenbasis of its data: {error}") from None
    d = int(np.prod(recipe.event_shape))
    if [value.shape for value in eigen] != [recipe.event_shape, (d, d), (d,)]:
        raise ValueError(f"an eigenbasis of events {recipe.event_shape} was wanted, got {eigen.mean.shape=}")
    return eigen


def schedule(recipe: Recipe) -> inflation.Preserving | inflation.Reducing:
    """The schedule with a scale for each direction. Raises: ValueError as `inflation.preserving` and `inflation.reducing`."""
    variances = eigenbasis(recipe).variances
    horizon = _NORMAL_HORIZON if recipe.time_law == "normal" else None
    if not recipe.keep:
        return inflation.preserving(variances, gamma=recipe.gamma, horizon=horizon)
    growth = inflation.constant_gap(recipe.gap)
    return inflation.reducing(variances, keep=recipe.keep, growth=growth, gamma=recipe.gamma, horizon=horizon)


def denoiser(recipe: Recipe, network: Network) -> Denoiser:
    """The mean of y_0 given y_t, in the eigenbasis; the network may live in the space of the data."""
    network = network._replace(apply=Partial(_told_the_root, network.apply))
    placed = inflation.in_data_space(network, eigenbasis(recipe)) if recipe.space == "data" else network
    return inflation.preconditioned(placed, _preconditioning(recipe))


def _told_the_root(apply: Apply, params: Params, y: Array, t: Array, cond: Any, xi: Array | None) -> Array:
    """Eq. (B)."""
    return apply(params, y, jnp.sqrt(t), cond, xi)


def loss(recipe: Recipe, model: Denoiser) -> LossFn:
    """The squared error of the network itself, of batches of the data."""
    along = schedule(recipe)
    laws = {"quadratic": times.power(2.0, base=times.stratified), "uniform": times.stratified}
    law = laws.get(recipe.time_law) or inflation.normal(horizon=along.horizon)
    rule = inflation.Standardised(_preconditioning(recipe))
    return inflation.on_data(objectives.distributional(model, along, times=law, score=rule, size=1), eigenbasis(recipe))


def _preconditioning(recipe: Recipe) -> Preconditioning:
    return _PRECONDITIONINGS[recipe.preconditioning](schedule(recipe), eigenbasis(recipe).variances)


def velocity(recipe: Recipe, model: Denoiser) -> Velocity:
    """The probability flow in the eigenbasis."""
    return Partial(_velocity, schedule(recipe), model)


def _velocity(
    along: Schedule, model: Denoiser, params: Params, key: Key, y_t: Array, t: Array, cond: Any = None
) -> Array:
    return flows.velocity(denoisers.bind(model, params, cond), along)(key, y_t, t)


def grid(n: int) -> Array:
    """n steps of equal size in u, eq. (B), from t = 1 to 0."""
    return times.grid(n) ** 2


def by_inflation(recipe: Recipe, model: Denoiser, *, path: bool = False) -> Sampler:
    """Eq. (A): samples of the data, or their paths, on the squares of a grid, eq. (B). Two calls of the denoiser a step."""
    eigen = eigenbasis(recipe)
    prior = inflation.analytic_prior(schedule(recipe), eigen.variances)
    start = lambda key, shape: prior.sample(key, shape[0])  # noqa: E731
    shape = eigen.variances.shape
    walk = by_flow(velocity(recipe, model), schedule(recipe), shape, prior=start, path=path, method=flows.heun)
    turn = jax.vmap(eigen.points) if path else eigen.points
    return lambda params, key, n, grid, *args, **settings: turn(walk(params, key, n, grid**2, *args, **settings))
