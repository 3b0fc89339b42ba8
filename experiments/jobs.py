"""One trained model of a run: from scratch, or from its newest intact checkpoint."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import optax

from ddjax import training
from ddjax.training import checkpoints, sharding
from ddjax.types import Denoise, Key, LossFn, Network, Params, Resumable, Schedule
from experiments.engine import Engine, layout
from experiments.runs import Run, first_process, read_settings

logging.getLogger("absl").setLevel(logging.CRITICAL)  # Orbax logs pages about a failed save, which we tell in one line

Watch = Callable[[Params], dict[str, float]]


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
) -> Params:
    """The averaged parameters after `steps`; checkpoints under the job's name.

    Args:
        watch: averaged parameters -> numbers, told at each checkpoint and kept in watched.jsonl.
    """
    state = initial_state(network, optimizer, seed)
    train_step = training.make_train_step(loss_fn, optimizer, ema_decay=ema_decay)
    state, train_step, batch = layout(folder.engine, state, train_step, batch)
    with checkpoints.manager(folder.checkpoints(job), job=folder.owner(job)) as manager:
        stream = batch if isinstance(batch, Resumable) else None
        state = checkpoints.restore(manager, state, stream) or state
        start = int(state.step)
        told = folder.logger(job, start, "watched.jsonl") if watch else None

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
            log=folder.logger(job, start),
            visit=visit if watch else None,
            label=job if first_process() else None,
            scanned=training.may_scan(network),
        )
    return sharding.on_host(state.ema)


class Trained(NamedTuple):
    """A trained model of a saved run, ready to sample: `denoise(params)` is its denoiser, or, of a flow, its velocity.

    Sample i of a batch has class i modulo the number of `classes`, where there are any.
    """

    job: str
    params: Params
    denoise: Callable[[Params], Denoise]
    schedule: Schedule
    shape: tuple[int, ...]
    flow: bool = False
    classes: tuple[str, ...] = ()


def trained(
    path: Path, networks: dict[str, Network], optimizer: optax.GradientTransformation, job: str | None
) -> tuple[str, Params]:
    """The averaged parameters of a job of a saved run, and its name: the first one's where none is given.

    Raises: ValueError for a job that the run does not have; FileNotFoundError where no intact checkpoint is left.
    """
    job = job or next(iter(networks))
    if job not in networks:
        raise ValueError(f"this run has the models {', '.join(networks)}; got {job!r}")
    like = initial_state(networks[job], optimizer, 0)
    saved = Run(path, read_settings(path), Engine())
    return job, checkpoints.restore_newest(saved.checkpoints(job), like, job=saved.owner(job)).ema
