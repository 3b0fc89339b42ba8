"""One trained model of a run, or all its seeds in one state: from scratch, or from its newest intact checkpoint."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import optax

from ddjax import training
from ddjax.runs import events
from ddjax.runs.engine import layout
from ddjax.runs.folders import Run, first_process
from ddjax.training import TrainStep, checkpoints, memory, sharding, together
from ddjax.types import Key, LossFn, Network, Params, Resumable

logging.getLogger("absl").setLevel(logging.CRITICAL)  # Orbax logs pages about a failed save, which we tell in one line

Watch = Callable[[Params], dict[str, float]]
Start = Callable[[training.TrainState], training.TrainState]


def initial_state(
    network: Network, optimizer: optax.GradientTransformation, seed: int, *, others: int = 0
) -> training.TrainState:
    """The state at step 0, a function of the seed alone, with so many other averages."""
    key_init, key_state = jax.random.split(jax.random.key(seed))
    return training.TrainState.create(network.init(key_init), optimizer, key_state, others=others)


class Budget(NamedTuple):
    """How long a job trains and what it keeps: `accumulate` parts of a batch, averages of `ema_decay` and other decays."""

    steps: int
    save_every: int
    ema_decay: float
    other_decays: Sequence[float] = ()
    accumulate: int = 1

    def step(self, loss_fn: LossFn, optimizer: optax.GradientTransformation) -> TrainStep:
        """The training step."""
        decays = {"ema_decay": self.ema_decay, "other_decays": self.other_decays}
        return training.make_train_step(loss_fn, optimizer, accumulate=self.accumulate, **decays)


def train(
    folder: Run,
    job: str,
    network: Network,
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation,
    batch: Callable[[Key], Any] | Resumable,
    budget: Budget,
    *,
    seed: int,
    watch: Watch | None = None,
    start: Start | None = None,
) -> tuple[Params, ...]:
    """The averaged parameters at the end, those of `ema_decay` first; checkpoints under the job's name.

    Args:
        watch: averaged parameters -> numbers, told at each checkpoint and kept in watched.jsonl.
        start: fresh state -> the state to train on from, of whatever step, in its place.
    """
    state = initial_state(network, optimizer, seed, others=len(budget.other_decays))
    laid = layout(folder.engine, state, budget.step(loss_fn, optimizer), batch)
    of = {"params_of": lambda state: state.ema, "watch": watch, "start": start}
    state = _trained(folder, job, network, *laid, budget, rows=[job], **of)
    return sharding.on_host(state.averages)


def train_together(
    folder: Run,
    job: str,
    rows: Sequence[str],
    network: Network,
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation,
    batch: Callable[[Key], Any],
    budget: Budget,
    *,
    watch: Watch | None = None,
) -> list[tuple[Params, ...]]:
    """The averaged parameters of seeds 0, 1, ... at the end, trained in one state (`training.together`).

    Args:
        job: of the checkpoints. rows: of the metrics of every seed. watch: as in `train`, of the parameters of seed 0.
    Raises: ValueError for a stream, or several devices.
    """
    require_together()
    others = len(budget.other_decays)
    states = [initial_state(network, optimizer, seed, others=others) for seed in range(len(rows))]
    laid = together.stacked(states), together.step(budget.step(loss_fn, optimizer)), together.batches(batch)
    of_first = lambda state: together.of_seed(state.averages, 0)[0]  # noqa: E731
    state = _trained(folder, job, network, *laid, budget, rows=rows, params_of=of_first, watch=watch)
    return [sharding.on_host(together.of_seed(state.averages, seed)) for seed in range(len(rows))]


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
    budget: Budget,
    *,
    rows: Sequence[str],
    params_of: Callable[[training.TrainState], Params],
    watch: Watch | None = None,
    start: Start | None = None,
) -> training.TrainState:
    """The state at the end, from the newest intact checkpoint of the job where there is one."""
    with checkpoints.manager(folder.checkpoints(job), job=folder.owner(job)) as manager:
        stream = batch if isinstance(batch, Resumable) else None
        state = checkpoints.restore(manager, state, stream) or (start(state) if start else state)
        first = int(state.step)
        if first >= budget.steps:  # trained before, and taken up to be evaluated
            return state
        with events.beside(folder.events(job), first) as also:
            told = also(folder.logger(rows[0], first, "watched.jsonl"), "watched/") if watch else None
            speed = also(folder.logger(job, first, "speed.jsonl"), "speed/")
            logs = [also(folder.logger(row, first), f"{row}/" if len(rows) > 1 else "") for row in rows]

            def visit(state: training.TrainState) -> None:
                params = sharding.on_host(params_of(state))  # by all processes together
                if told and watch:
                    told(int(state.step), watch(params))

            return training.fit(
                state,
                train_step,
                batch,
                steps=budget.steps,
                chunk=folder.engine.log_every,
                checkpoints=manager,
                save_every=budget.save_every,
                log=_to_each(logs, _timed(speed, first)) if logs[0] else None,
                visit=visit if watch else None,
                label=job if first_process() else None,
                scanned=training.may_scan(network),
                donate=True,
            )


def _timed(log: training.Log, first: int) -> Callable[[int], None]:
    """Tell at each step how many steps a second there were since the step before, and the most memory so far."""
    last, began = first, time.monotonic()

    def tell(step: int) -> None:
        nonlocal last, began
        now = time.monotonic()
        log(step, {"steps_per_second": (step - last) / max(now - began, 1e-9), "memory_gb": memory.peak_gb()})
        last, began = step, now

    return tell


def _to_each(logs: Sequence[training.Log], timed: Callable[[int], None]) -> training.Log:
    """To each log the numbers of its seed, which come as lists where seeds are trained together, be they one."""

    def log(step: int, metrics: dict[str, Any]) -> None:
        timed(step)
        for seed, to in enumerate(logs):
            to(step, {name: value[seed] if isinstance(value, list) else value for name, value in metrics.items()})

    return log
