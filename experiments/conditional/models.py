"""Conditions, couplings, and the flows from eight Gaussians to two moons that they make."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ddjax import couplings, flows, metrics, networks, objectives, schedules
from ddjax.data import toys
from ddjax.types import Batch, Key, LossFn, Network, Params, Velocity

SCHEDULE = schedules.Rectified()
INDEPENDENT, BLIND, AWARE = "independent", "OT", "condition-aware OT"


class Condition(NamedTuple):
    """What a model is told of the data, how its net eats it, and how its samples are judged."""

    name: str
    of: Callable[[Batch], Any]  # labelled data -> the condition of each example
    network: Network
    distance: Callable[[Array, Array, Any], Array]  # real, fake, condition of both -> W_2


class Model(NamedTuple):
    """One cell of the table."""

    condition: Condition
    coupling: str
    velocity: Velocity
    loss_fn: LossFn

    @property
    def name(self) -> str:
        """Its name in tables."""
        return f"{self.condition.name}, {self.coupling}"


def data(key: Key, n: int, *, noise: float) -> Batch:
    """Two moons scaled to 3 x - 1, the target, with labels in turns."""
    points, labels = toys.two_moons(key, n, noise=noise)
    turns = jnp.argsort(labels).reshape(2, -1).T.reshape(-1)
    return Batch(3 * points[turns] - 1, labels[turns])


def source(key: Key, shape: tuple[int, ...]) -> Array:
    """Eight Gaussians, where every flow starts."""
    return toys.eight_gaussians(key, shape[0]).x_0


def conditions() -> list[Condition]:
    """No condition, the moon's label, and the x coordinate of the target itself."""
    net = partial(networks.mlp, 2, width=128, depth=3, inject=None)
    w_2 = partial(metrics.wasserstein, p=2.0)

    def within_classes(real: Array, fake: Array, labels: Array) -> Array:
        return sum(metrics.per_class(w_2, real, labels, fake, labels, classes=2)) / 2

    def jointly(real: Array, fake: Array, x: Array) -> Array:
        return w_2(jnp.concatenate([real, x], 1), jnp.concatenate([fake, x], 1))

    return [
        Condition("unconditional", lambda batch: None, net(), lambda real, fake, _: w_2(real, fake)),
        Condition("class", lambda batch: batch.cond, networks.labelled(net(cond_size=2), 2), within_classes),
        Condition("x coordinate", lambda batch: batch.x_0[:, :1], net(cond_size=1), jointly),
    ]


def pairings(share: float) -> dict[str, couplings.Coupling]:
    """The three couplings; `share` of pairs keep a continuous condition under the last."""
    aware = partial(couplings.sinkhorn, cost=_aware_cost(share))
    return {INDEPENDENT: couplings.independent, BLIND: couplings.blind(couplings.sinkhorn), AWARE: aware}


def models(settings: Any) -> Iterator[Model]:
    """Every condition under every coupling that differs for it."""
    for condition in conditions():
        velocity = flows.network_velocity(condition.network, SCHEDULE)
        for name, coupling in pairings(settings.share).items():
            if name == AWARE and condition.name == "unconditional":
                continue  # there is nothing to be aware of: the same as OT
            loss_fn = objectives.flow_matching(velocity, SCHEDULE, coupling=coupling, prior=source)
            yield Model(condition, name, velocity, loss_fn)


def batches(model: Model, settings: Any) -> Callable[[Key], Any]:
    """Fresh moons for every step, with what the model is told of them."""

    def batch(key: Key) -> Any:
        drawn = toys.two_moons(key, settings.batch, noise=settings.noise)
        drawn = Batch(3 * drawn.x_0 - 1, drawn.cond)
        cond = model.condition.of(drawn)
        return drawn.x_0 if cond is None else (drawn.x_0, cond)

    return batch


def _aware_cost(share: float) -> couplings.Cost:
    near = couplings.near_condition(share)

    def cost(x_0: Array, x_1: Array, cond: Any) -> Array:
        labels = jnp.issubdtype(cond.dtype, jnp.integer)
        return (couplings.within_classes if labels else near)(x_0, x_1, cond)

    return cost


def field_of(model: Model, params: Params, cond: Any) -> Callable[[Key, Array, Array], Array]:
    """The model's velocity for a batch of conditions."""
    return lambda key, x_t, t: model.velocity(params, key, x_t, t, cond)


def adaptive(model: Model, tolerance: float) -> Callable[[Params, Key, Array, Any], flows.Solution]:
    """Each example to its own tolerance, under its own condition."""

    @jax.jit
    def solve(params: Params, key: Key, x_1: Array, cond: Any) -> flows.Solution:
        def one(key: Key, x_1: Array, cond: Any) -> flows.Solution:
            cond = jax.tree.map(lambda c: c[None], cond)
            solution = flows.integrate(field_of(model, params, cond), key, x_1[None], tolerance=tolerance)
            return jax.tree.map(lambda a: a[0], solution)

        return jax.vmap(one)(jax.random.split(key, len(x_1)), x_1, cond)

    return solve
