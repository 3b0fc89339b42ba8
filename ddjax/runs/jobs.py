"""One trained model of a run: from scratch, or from its newest intact checkpoint."""

import logging
from collections.abc import Callable
from typing import Any

import jax
import optax

from ddjax import training
from ddjax.runs import events
from ddjax.runs.engine import layout
from ddjax.runs.folders import Run, first_process
from ddjax.training import checkpoints, sharding
from ddjax.types import Key, LossFn, Network, Params, Resumable

logging.getLogger("absl").setLevel(logging.CRITICAL)  # Orbax logs pages about a failed save, which we tell in one line

Watch = Callable[[Params], dict[str, float]]
Start = Callable[[training.TrainState], training.TrainState]


def initial_state(network: Network, optimizer: optax.GradientTransformation, seed: int) -> training.TrainState:
    """The state at step 0, a function of the seed alone."""
    key_init, key_state = jax.random.split(jax.random.key(seed))
    return training.TrainState.create(network.init(key_init), optimizer, key_state)


def train(
    folder: Run,
    job: str,
    network: Network,
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation,
    batch: Callable[[Key], Any] | Resumable,
    *,
    seed: int,
    steps: int,
    save_every: int,
    ema_decay: float,
    watch: Watch | None = None,
    start: Start | None = None,
) -> Params:
    """The averaged parameters after `steps`; checkpoints under the job's name.

    Args:
        watch: averaged parameters -> numbers, told at each checkpoint and kept in watched.jsonl.
        start: fresh state -> the state to train on from, of whatever step, in its place.
    """
    state = initial_state(network, optimizer, seed)
    train_step = training.make_train_step(loss_fn, optimizer, ema_decay=ema_decay)
    state, train_step, batch = layout(folder.engine, state, train_step, batch)
    with checkpoints.manager(folder.checkpoints(job), job=folder.owner(job)) as manager:
        stream = batch if isinstance(batch, Resumable) else None
        state = checkpoints.restore(manager, state, stream) or (start(state) if start else state)
        first = int(state.step)
        with events.beside(folder.events(job), first) as also:
            told = also(folder.logger(job, first, "watched.jsonl"), "watched/") if watch else None

            def visit(state: training.TrainState) -> None:
                params = sharding.on_host(state.ema)  # by all processes together
                if told:
                    told(int(state.step), watch(params))

            state = training.fit(
                state,
                train_step,
                batch,
                steps=steps,
                checkpoints=manager,
                save_every=save_every,
                log=also(folder.logger(job, first)),
                visit=visit if watch else None,
                label=job if first_process() else None,
                scanned=training.may_scan(network),
            )
    return sharding.on_host(state.ema)
