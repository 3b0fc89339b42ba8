"""The models of the two-moons page: one net, one optimiser, and what differs between the experiments."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from ddjax import couplings, denoisers, flows, networks, objectives, paths, samplers, schedules, scoring, times
from ddjax.data import toys
from ddjax.types import Batch, Key, LossFn, Network, Params, Step, Velocity

SCHEDULE = schedules.Rectified()
CLASSES = 2
NULL = CLASSES  # the label of guidance's unconditional branch

MakeStep = Callable[[Params, Any], Step]


class Model(NamedTuple):
    """A model to train, and how it is sampled from: `steps` holds a name and a kernel for each way.

    `flow` tells whether samples follow a velocity, and so have a straightness; `trained` is that velocity, at the first
    guidance weight where there are several, or else the denoiser.
    """

    name: str
    network: Network
    loss_fn: LossFn
    labelled: bool
    steps: dict[str, MakeStep]
    trained: Velocity
    flow: bool = True


def models(settings: Any) -> Iterator[Model]:
    """The models of the chosen experiments, in the order of the page."""
    chosen = set(settings.exp) if "all" not in settings.exp else {"1", "2", "3", "4", "ddm"}
    net = partial(networks.mlp, 2, width=settings.width, depth=settings.depth)
    if "1" in chosen:
        yield flow_matching("1 time concatenated", net(inject=None, time=networks.raw_time))
    if "2" in chosen:
        yield flow_matching("2 sinusoidal time", net(inject=None))
    if "3" in chosen:
        yield flow_matching("3 OT coupling", net(inject=None), couplings.sinkhorn)
    if "4" in chosen:
        labelled = networks.labelled(net(inject=None, cond_size=CLASSES), CLASSES)
        for name, coupling in (
            ("independent", couplings.independent),
            ("blind OT", couplings.blind(couplings.sinkhorn)),
            ("class-aware OT", couplings.sinkhorn),
        ):
            yield conditional(f"4 {name}", labelled, coupling, settings)
    if "ddm" in chosen:
        yield distributional("DDM", net(inject=1), settings.population)


def flow_matching(name: str, network: Network, coupling: couplings.Coupling = couplings.independent) -> Model:
    """Unconditional flow matching, sampled by Euler's method."""
    velocity = flows.network_velocity(network, SCHEDULE)
    loss_fn = objectives.flow_matching(velocity, SCHEDULE, coupling=coupling)
    step = {name: lambda params, _: flows.euler(denoisers.bind(velocity, params))}
    return Model(name, network, loss_fn, False, step, velocity)


def conditional(name: str, network: Network, coupling: couplings.Coupling, settings: Any) -> Model:
    """Class-conditional flow matching with label dropout, sampled at each guidance weight."""
    velocity = flows.network_velocity(network, SCHEDULE)
    loss_fn = objectives.flow_matching(velocity, SCHEDULE, coupling=coupling)
    loss_fn = objectives.condition_dropout(loss_fn, probability=settings.dropout, null=NULL)

    def guided(weight: float) -> MakeStep:
        field = denoisers.guided(velocity, weight, null=NULL)
        return lambda params, labels: flows.euler(denoisers.bind(field, params, labels))

    steps = {f"{name}, w = {w:g}": guided(w) for w in settings.guidance}
    return Model(name, network, loss_fn, True, steps, denoisers.guided(velocity, settings.guidance[0], null=NULL))


def distributional(name: str, network: Network, size: int) -> Model:
    """Distributional diffusion on the same net and budget, sampled by the bridge with churn 1."""
    denoiser = denoisers.distributional(network, SCHEDULE, predicts="velocity")
    drawn = {"size": size, "population": denoisers.folded_population}
    loss_fn = objectives.distributional(denoiser, SCHEDULE, times=times.stratified, score=scoring.Energy(), **drawn)
    step = {name: lambda params, _: samplers.bridge(denoisers.bind(denoiser, params), SCHEDULE)}
    return Model(name, network, loss_fn, False, step, denoiser, flow=False)


def optimizer(settings: Any) -> optax.GradientTransformation:
    """AdamW at a constant rate, as on the page."""
    return optax.adamw(settings.learning_rate, weight_decay=settings.weight_decay)


def batches(model: Model, settings: Any) -> Callable[[Key], Any]:
    """Fresh moons for every step, with labels where the model eats them."""

    def batch(key: Key) -> Any:
        drawn = toys.two_moons(key, settings.batch, noise=settings.noise)
        return tuple(drawn) if model.labelled else drawn.x_0

    return batch


def labels_of(model: Model, n: int) -> Int[Array, " n"] | None:
    """Half of the samples for each class, or none."""
    return jnp.arange(n, dtype=jnp.int32) % CLASSES if model.labelled else None


def sampler(model: Model, make_step: MakeStep, n: int) -> Callable[[Params, Key, Array], Batch]:
    """A jitted `draw(params, key, grid) -> Batch(x_0 [n, 2], labels)`, compiled once for each number of steps."""

    @jax.jit
    def draw(params: Params, key: Key, grid: Array) -> Batch:
        key_prior, key_steps = jax.random.split(key)
        x_1 = paths.prior(SCHEDULE, key_prior, (n, 2))
        step = make_step(params, labels_of(model, n))
        return Batch(samplers.sample(step, key_steps, x_1, grid), labels_of(model, n))

    return draw
