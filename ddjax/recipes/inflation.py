"""Inflationary flows: an eigenbasis, a schedule with a scale for each of its directions, a denoiser, its loss and its sampler.

(A)  y = B^T (x - mean),   y_1 ~ N(0, alpha(1)^2 s^2 + sigma(1)^2),   y_0 by Heun's method along the probability flow
(B)  u = sqrt(t): what the network is given, and steps of equal size in; C(t) has grown by as much as the data after 1/10 of all t
"""

import base64
import binascii
import math
from dataclasses import dataclass
from typing import Annotated, Literal

from ddjax.cli.settings import MAY_BE_EMPTY, Positive, Range
from ddjax.recipes.networks import Kernel, Mlp
from ddjax.recipes.recipe import Recipe

_NORMAL_HORIZON = 15.01  # the paper's: its normal times lie beyond the horizon that a Gaussian prior needs


@dataclass(frozen=True, kw_only=True)
class Inflation(Recipe):
    """The mean of y_0 given y_t along an inflationary flow."""

    eigen: Annotated[str, MAY_BE_EMPTY]
    """The eigenbasis of its data, as `written` writes it."""
    keep: Annotated[int, Range(0)] = 0
    """Directions that a flow keeps; 0 preserves the participation ratio instead."""
    gap: Annotated[float, Range(0, 2, "(]")] = 1.0
    """By how much slower than the kept directions, at 2, the others grow, in (0, 2]; 1 for toys, 0.02 for images."""
    gamma: Positive = 5e-4
    """C(0) / s^2, the noise at t = 0 in units of each variance: without it the score is infinite there."""
    preconditioning: Literal["anisotropic", "edm", "eigen_edm"] = "anisotropic"
    """What keeps the network at unit variance: each direction by its own numbers, all by one, or by one beside each noise."""
    space: Literal["eigen", "data"] = "eigen"
    """Where the network lives."""
    time_law: Literal["quadratic", "uniform", "normal"] = "quadratic"
    """Training times: u^2 with uniform u, u itself, or N(12, 1.2^2) in units of 1 / rho, to a horizon of 15.01."""

    def __post_init__(self):
        if self.gap != 1 and not self.keep:
            raise ValueError(f"gap is of flows that keep directions, got gap={self.gap} with keep=0")
        if self.space == "eigen" and not isinstance(self.network, Mlp):
            raise ValueError(f"in the eigenbasis events are vectors, which an mlp takes, got {self.network}")

    def eigenbasis(self):
        """The `inflation.Eigenbasis` of its data, known under jit too.

        Raises: ValueError for text that holds none, or one of other data.
        """
        import jax
        import safetensors.numpy

        from ddjax import inflation

        dtype = jax.dtypes.canonicalize_dtype(float)
        try:
            arrays = safetensors.numpy.load(base64.b64decode(self.eigen, validate=True))
            eigen = inflation.Eigenbasis(**{name: value.astype(dtype) for name, value in arrays.items()})
        except (binascii.Error, safetensors.SafetensorError, TypeError) as error:
            raise ValueError(f"the recipe {self.name!r} holds no eigenbasis of its data: {error}") from None
        d = math.prod(self.event_shape)
        if [value.shape for value in eigen] != [self.event_shape, (d, d), (d,)]:
            raise ValueError(f"an eigenbasis of events {self.event_shape} was wanted, got {eigen.mean.shape=}")
        return eigen

    def noise_schedule(self):
        """A schedule with a scale for each direction. Raises: ValueError as `inflation.preserving` and `inflation.reducing`."""
        from ddjax import inflation

        variances = self.eigenbasis().variances
        horizon = _NORMAL_HORIZON if self.time_law == "normal" else None
        if not self.keep:
            return inflation.preserving(variances, gamma=self.gamma, horizon=horizon)
        growth = inflation.constant_gap(self.gap)
        return inflation.reducing(variances, keep=self.keep, growth=growth, gamma=self.gamma, horizon=horizon)

    def net(self, *, dropout: bool = False, kernel: Kernel = "auto"):
        """Its `types.Network`, of vectors in the eigenbasis or of the data."""
        shape = (math.prod(self.event_shape),) if self.space == "eigen" else self.event_shape
        return self.network.make(shape, dropout=dropout, kernel=kernel)

    def predictor(self, network=None, *, kernel: Kernel = "auto"):
        """A `types.Denoiser` of the mean of y_0 given y_t, in the eigenbasis; the network is given sqrt(t), eq. (B)."""
        from jax.tree_util import Partial

        from ddjax import inflation

        network = network or self.net(kernel=kernel)
        network = network._replace(apply=Partial(_of_root, network.apply))
        placed = inflation.in_data_space(network, self.eigenbasis()) if self.space == "data" else network
        return inflation.preconditioned(placed, self.preconditioned())

    def preconditioned(self):
        """Its `inflation.preconditioning.Preconditioning`."""
        from ddjax import inflation

        make = {"anisotropic": inflation.Anisotropic, "edm": inflation.EDM, "eigen_edm": inflation.EigenEDM}
        return make[self.preconditioning](self.noise_schedule(), self.eigenbasis().variances)

    def loss(self, network):
        """The squared error of the network itself, of batches of the data."""
        from ddjax import inflation, objectives, times

        schedule = self.noise_schedule()
        if self.time_law == "normal":
            law = inflation.normal(horizon=schedule.horizon)
        else:
            law = times.power(2.0, base=times.stratified) if self.time_law == "quadratic" else times.stratified
        rule = inflation.Standardised(self.preconditioned())
        loss_fn = objectives.distributional(self.predictor(network), schedule, times=law, score=rule, size=1)
        return inflation.on_data(loss_fn, self.eigenbasis())

    def velocity(self, *, kernel: Kernel = "auto"):
        """The `types.Velocity` of the probability flow in the eigenbasis."""
        from jax.tree_util import Partial

        return Partial(_velocity, self.noise_schedule(), self.predictor(kernel=kernel))

    def sampler(self, *, path: bool = False, kernel: Kernel = "auto"):
        """Eq. (A): samples of the data, or their paths, on the squares of a grid, eq. (B). Two calls of the denoiser a step."""
        import jax

        from ddjax import flows, inflation
        from ddjax.recipes import sampling

        eigen = self.eigenbasis()
        prior = inflation.analytic_prior(self.noise_schedule(), eigen.variances)
        follow = sampling.by_flow(
            self.velocity(kernel=kernel),
            self.noise_schedule(),
            eigen.variances.shape,
            prior=lambda key, shape: prior.sample(key, shape[0]),
            path=path,
            method=flows.heun,
        )
        points = jax.vmap(eigen.points) if path else eigen.points
        return lambda params, key, n, grid, *args, **settings: points(
            follow(params, key, n, grid**2, *args, **settings)
        )


def _of_root(apply, params, y, t, cond, xi):
    """Eq. (B)."""
    import jax.numpy as jnp

    return apply(params, y, jnp.sqrt(t), cond, xi)


def _velocity(schedule, model, params, key, y_t, t, cond=None):
    from ddjax import denoisers, flows

    return flows.velocity(denoisers.bind(model, params, cond), schedule)(key, y_t, t)


def written(eigen) -> str:
    """An `inflation.Eigenbasis` as text in float32, for `Inflation.eigen`."""
    import numpy as np
    import safetensors.numpy

    arrays = {name: np.asarray(value, np.float32) for name, value in eigen._asdict().items()}
    return base64.b64encode(safetensors.numpy.save(arrays)).decode()


def grid(n: int):
    """n steps of equal size in u, eq. (B), from t = 1 to 0."""
    from ddjax import times

    return times.grid(n) ** 2
