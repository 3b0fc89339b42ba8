"""One trained model of a run, or all its seeds in one state: from scratch, or from its newest intact checkpoint."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import jax
import optax

from ddjax import training
from ddjax.runs import events
from ddjax.runs.engine import layout
from ddjax.runs.folders import Run, first_process
from ddjax.training import checkpoints, sharding, together
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
    laid = layout(folder.engine, state, train_step, batch)
    kept = {"steps": steps, "save_every": save_every, "watch": watch, "start": start}
    state = _trained(folder, job, network, *laid, rows=[job], params_of=lambda state: state.ema, **kept)
    return sharding.on_host(state.ema)


def train_together(
    folder: Run,
    job: str,
    rows: Sequence[str],
    network: Network,
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation,
    batch: Callable[[Key], Any],
    *,
    steps: int,
    save_every: int,
    ema_decay: float,
    watch: Watch | None = None,
) -> list[Params]:
    """The averaged parameters of seeds 0, 1, ... after `steps`, trained in one state (`training.together`).

    Args:
        job: of the checkpoints. rows: of the metrics of every seed. watch: as in `train`, of the parameters of seed 0.
    Raises: ValueError for a stream, or several devices.
    """
    require_together()
    states = [initial_state(network, optimizer, seed) for seed in range(len(rows))]
    train_step = together.step(training.make_train_step(loss_fn, optimizer, ema_decay=ema_decay))
    laid = together.stacked(states), train_step, together.batches(batch)
    kept = {"steps": steps, "save_every": save_every, "watch": watch}
    of_first = lambda state: together.of_seed(state, 0)  # noqa: E731
    state = _trained(folder, job, network, *laid, rows=rows, params_of=of_first, **kept)
    return [sharding.on_host(together.of_seed(state, seed)) for seed in range(len(rows))]


def require_together() -> None:
    """Raises: ValueError for several devices, over which a batch would be split along its axis of seeds."""
    if jax.device_count() > 1:
        raise ValueError("--together trains seeds on one device: on several they go one after the other")


def _trained(
    folder: Run,
    job: str,
    network: Network,
    state: training.TrainState,
    train_step: Any,
    batch: Any,
    *,
    rows: Sequence[str],
    params_of: Callable[[training.TrainState], Params],
    steps: int,
    save_every: int,
    watch: Watch | None = None,
    start: Start | None = None,
) -> training.TrainState:
    """The state after `steps`, from the newest intact checkpoint of the job where there is one."""
    with checkpoints.manager(folder.checkpoints(job), job=folder.owner(job)) as manager:
        stream = batch if isinstance(batch, Resumable) else None
        state = checkpoints.restore(manager, state, stream) or (start(state) if start else state)
        first = int(state.step)
        with events.beside(folder.events(job), first) as also:
            told = also(folder.logger(rows[0], first, "watched.jsonl"), "watched/") if watch else None
            logs = [also(folder.logger(row, first), f"{row}/" if len(rows) > 1 else "") for row in rows]

            def visit(state: training.TrainState) -> None:
                params = sharding.on_host(params_of(state))  # by all processes together
                if told and watch:
                    told(int(state.step), watch(params))

            return training.fit(
                state,
                train_step,
                batch,
                steps=steps,
                checkpoints=manager,
                save_every=save_every,
                log=_to_each(logs) if logs[0] else None,
                visit=visit if watch else None,
                label=job if first_process() else None,
                scanned=training.may_scan(network),
            )


def _to_each(logs: Sequence[training.Log]) -> training.Log:
    """To the one log its numbers, to several those of their seeds."""

    def log(step: int, metrics: dict[str, Any]) -> None:
        for seed, to in enumerate(logs):
            to(step, metrics if len(logs) == 1 else {name: values[seed] for name, values in metrics.items()})

    return log
