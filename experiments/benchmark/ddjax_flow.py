"""The ddjax side of OT-coupled flow matching: pairs by a rounded Sinkhorn plan or by the exact permutation."""

import jax
import jax.numpy as jnp
import optax

from ddjax import couplings, flows, networks, objectives, schedules, training
from ddjax.data import toys
from ddjax.types import Params
from experiments.benchmark import flow, jax_side
from experiments.benchmark.side import Side, Work

SCHEDULE = schedules.Rectified()
COUPLINGS = {
    "independent": couplings.independent,
    "sinkhorn": couplings.sinkhorn,
    "assignment": couplings.assignment,
}


def make(coupling: str) -> Side:
    """Training steps with a coupling."""
    network = networks.mlp(2, width=128, depth=3, inject=None, time=networks.raw_time)
    velocity = flows.network_velocity(network, SCHEDULE)
    loss_fn = objectives.flow_matching(velocity, SCHEDULE, coupling=COUPLINGS[coupling])
    optimizer = optax.adamw(flow.LEARNING_RATE, weight_decay=flow.WEIGHT_DECAY)
    train_step = training.make_train_step(loss_fn, optimizer)

    def one(state: training.TrainState, _: None):
        return train_step(state, toys.two_moons(state.keys()[0], flow.BATCH, noise=0.03).x_0)

    scanned = jax.jit(lambda state: jax.lax.scan(one, state, None, length=flow.STEPS)[0], donate_argnums=0)
    states = [training.TrainState.create(network.init(jax.random.key(0)), optimizer, jax.random.key(1))]

    def advance() -> None:
        states.append(jax.block_until_ready(scanned(states.pop())))

    def equal() -> dict[str, float | int]:
        return {"parameters": jax_side.count(states[0].params), "batch": flow.BATCH, "loss": fixed_loss()}

    def fixed_loss() -> float:
        """At the weights and pairs that torchcfm's side gets too, by the library's own loss."""
        inputs = {name: jnp.asarray(value) for name, value in flow.fixed_inputs().items()}
        names = ["hidden_0", "hidden_1", "hidden_2", "out"]
        layers = {
            name: {"kernel": inputs[f"kernel_{i}"], "bias": jnp.zeros(flow.SIZES[i][1])} for i, name in enumerate(names)
        }
        return float(given_loss({"params": layers}, inputs))

    def given_loss(params: Params, inputs: dict[str, jax.Array]) -> jax.Array:
        fixed = objectives.flow_matching(
            velocity, SCHEDULE, times=lambda key, n: inputs["t"], prior=lambda key, shape: inputs["x_1"]
        )
        return fixed(params, jax.random.key(0), inputs["x_0"])[0]

    work = {"train": Work(advance, flow.STEPS)}
    return Side(work, equal, jax_side.device(), jax_side.memory_mb, jax_side.matmul)
