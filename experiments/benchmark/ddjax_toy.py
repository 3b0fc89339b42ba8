"""The ddjax side of the toy work."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ddjax import denoisers, networks, objectives, paths, samplers, schedules, scoring, times, training
from ddjax.targets import two_gaussians
from ddjax.types import Network, Params
from experiments.benchmark import jax_side, toy
from experiments.benchmark.side import Side, Work

SCHEDULE = schedules.Rectified()


def make(
    inject: int,
    trainings: Sequence[tuple[int, int]] = (),
    draws: Sequence[tuple[int, int]] = (),
    bf16: bool = False,
    seed: int = 0,
    steps: int | None = None,
) -> Side:
    """Training at every (batch, population) and sampling at every (n, number of steps); xi joins hidden layer `inject`.

    Args:
        steps: training steps in a call (default: `toy.steps`).
    """
    features = partial(networks.time_features, size=toy.TIME)
    plain = networks.mlp(2, width=toy.WIDTH, depth=toy.DEPTH, time=features, inject=inject)
    network = jax_side.in_bf16(plain) if bf16 else plain
    states, work = {}, {}
    for batch, size in trainings:
        done = steps or toy.steps(batch, size)
        advance = trainer(network, batch, size, done, seed, states)
        work[f"train {batch} {size}"] = Work(advance, done, done * toy.training_flops(inject, batch, size))
    untrained = network.init(jax.random.key(seed))
    draw = sampler(network, lambda: next(iter(states.values())).params if states else untrained)
    for n, nfe in draws:
        work[f"sample {n} {nfe}"] = Work(partial(draw, n, nfe, seed), 1, nfe * toy.forward_flops(inject, n, 1))

    def equal() -> dict[str, float | int]:
        numbers = {"parameters": jax_side.count(untrained)}
        return numbers if bf16 else numbers | {f"loss, xi at layer {inject}": fixed_loss(plain, inject)}

    def save(path: str, n: int, nfe: int, seed: int) -> None:
        np.save(path, draw(n, nfe, seed))

    return Side(work, equal, jax_side.device(), jax_side.memory_mb, jax_side.matmul, {"save": save})


def trainer(
    network: Network, batch: int, size: int, steps: int, seed: int, states: dict[Any, training.TrainState]
) -> Callable[[], None]:
    """A function that trains for `steps` in one dispatch and keeps the state in `states`."""
    denoiser = denoisers.distributional(network, SCHEDULE)
    loss_fn = objectives.distributional(denoiser, SCHEDULE, size=size, population=denoisers.folded_population)
    optimizer = optax.adam(toy.LEARNING_RATE)
    train_step = training.make_train_step(loss_fn, optimizer, ema_decay=0)
    mixture, key = two_gaussians(), jax.random.key(seed + 1)
    states[batch, size] = training.TrainState.create(network.init(jax.random.key(seed)), optimizer, key)

    def one(state: training.TrainState, _: None):
        return train_step(state, mixture.sample(state.keys()[0], batch))

    scanned = jax.jit(lambda state: jax.lax.scan(one, state, None, length=steps)[0], donate_argnums=0)

    def advance() -> None:
        states[batch, size] = jax.block_until_ready(scanned(states[batch, size]))

    return advance


def sampler(network: Network, params: Callable[[], Params]) -> Callable[[int, int, int], jax.Array]:
    """draw(n, nfe, seed): n samples in nfe steps of the exact bridge at churn 1, compiled once for each (n, nfe)."""
    denoiser = denoisers.distributional(network, SCHEDULE)

    @partial(jax.jit, static_argnums=(2, 3))
    def drawn(params: Params, key: jax.Array, n: int, nfe: int) -> jax.Array:
        key_prior, key_steps = jax.random.split(key)
        step = samplers.bridge(denoisers.bind(denoiser, params), SCHEDULE, churn=1.0)
        return samplers.sample(step, key_steps, paths.prior(SCHEDULE, key_prior, (n, 2)), times.grid(nfe))

    def draw(n: int, nfe: int, seed: int) -> jax.Array:
        return jax.block_until_ready(drawn(params(), jax.random.key(seed), n, nfe))

    return draw


def fixed_loss(network: Network, inject: int) -> float:
    """The loss at the weights and noise that torch gets too."""
    inputs = toy.fixed_inputs(inject)
    params = {}
    for i in range(toy.DEPTH + 1):
        kernel = inputs[f"kernel_{i}"]
        if i == inject:
            kernel, params["xi"] = kernel[:-2], {"kernel": kernel[-2:]}
        name = f"hidden_{i}" if i < toy.DEPTH else "out"
        params[name] = {"kernel": kernel, "bias": inputs[f"bias_{i}"]}
    x_0, x_t, t, xi = (jnp.asarray(inputs[name]) for name in ("x_0", "x_t", "t", "xi"))
    draws = jax.vmap(lambda xi: network.apply({"params": params}, x_t, t, None, xi), out_axes=1)(xi)
    return float(jnp.mean(jax.vmap(scoring.Energy())(draws, x_0).score))
