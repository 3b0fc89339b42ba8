"""The training loop: many steps per dispatch where that is faster, checkpoints, a stop on NaN and on signals."""

import itertools
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import jax
import numpy as np
from jax.tree_util import Partial

from ddjax.inputs import checked_count, checked_function
from ddjax.training import checkpoints as ckpt
from ddjax.training import memory
from ddjax.training.progress import progress
from ddjax.training.sharding import agreed
from ddjax.training.signals import Interrupted, noted
from ddjax.training.sources import checked
from ddjax.training.state import TrainState, TrainStep, require_finite
from ddjax.types import Key, Resumable

_LARGE = 1_000_000  # parameters of a state whose steps a CPU takes one by one
_MUST_BE_FINITE = {"loss": "the loss", "grad_norm": "the gradient norm"}

Log = Callable[[int, dict[str, Any]], None]
Visit = Callable[[TrainState], None]


def fit(
    state: TrainState,
    train_step: TrainStep,
    batch: Callable[[Key], Any] | Resumable | Iterator,
    *,
    steps: int,
    chunk: int = 100,
    checkpoints: ckpt.Checkpoints | None = None,
    save_every: int = 1000,
    log: Log | None = None,
    visit: Visit | None = None,
    label: str | None = "training",
    scanned: bool = True,
    donate: bool = False,
) -> TrainState:
    """Train from `state.step` to `steps`, in all: one `lax.scan` of `chunk` steps per dispatch, the state donated.

    Batches are drawn on the device from a key folded from (state.key, step), so a resumed run equals an uninterrupted one
    bit for bit; or they come from a stream, whose place is saved with the state, and steps are dispatched one by one, the
    next batch on its way while the device works. Metrics are read one chunk late: the device never waits for the host.

    Args:
        state: copied once and left as it is, unless `donate` says otherwise.
        batch: key -> batch, pure; a `jax.tree_util.Partial`, such as `data.batches` returns, brings its arrays as
            arguments. Or a stream, such as `data.Stream`, at the place of `state`, to which `checkpoints.restore` has
            brought it. Or, without checkpoints, any iterator.
        checkpoints: from `checkpoints.manager`.
        save_every: a multiple of `chunk`; the last step is saved too.
        log: called on the host with (step, chunk means of the metrics); those of seeds that are trained together are lists.
        visit: called with the state at each `save_every` and at the end, to judge or to draw; it must not keep the state, whose
            buffers the next step takes.
        label: of the progress display, None for silence.
        scanned: False dispatches each step by itself, for networks that `may_scan` refuses. On a CPU states of more than a
            million parameters are, too: a hundred of their steps take longer than a signal, or who watches, may wait.
        donate: True takes the buffers of `state` instead of a copy, which saves the memory of one state for as long as
            training lasts; nobody may use them afterwards.
    Returns: the state at `steps`; `state` itself, with a warning, where it is there already.
    Raises: ValueError for a chunk, a save_every or a source of batches that does not fit; FloatingPointError at the first
        loss or gradient norm that is not finite, and before a state that is not would be saved or returned, the last good
        checkpoint untouched; Interrupted after one of `signals.STOPS`, Ctrl-C above all, the state saved, in the last steps too,
        and on the exception as its `state`;
        OSError when a checkpoint cannot be written; MemoryError before a step that needs more memory than there is.
    """
    steps, chunk = checked_count(steps, "steps", least=0), checked_count(chunk, "chunk")
    if checked_count(save_every, "save_every") % chunk:
        raise ValueError(f"save_every must be a positive multiple of chunk, got {save_every=}, {chunk=}")
    train_step = checked_function(train_step, "train_step", "state", "batch")
    stream = batch if isinstance(batch, Resumable) else None
    batches = checked(batch, state.keys()[0], kept=checkpoints is not None)
    good = (lambda: "none") if checkpoints is None else checkpoints.last_good
    step = int(state.step)
    if step >= steps:
        warnings.warn(
            f"nothing was trained: the state is at step {step}, and {steps=} counts from the beginning", stacklevel=2
        )
        return state
    if not donate:
        state = state.copy()
    display = progress(steps, start=step, label=label) if label else nullcontext(lambda step, metrics: None)
    with noted(told=label is not None) as stopped, display as update:
        done = lambda n: update(step + n, {})  # noqa: E731
        run, pending = _runner(train_step, batches, stopped, done, scanned and not _slow(state)), None

        def report(first: int, stacked: dict[str, Any]) -> dict[str, float]:
            host = {name: np.asarray(values) for name, values in jax.device_get(stacked).items()}
            _require_finite(host, first, good)
            told = {name: values.mean(0).tolist() for name, values in host.items()}
            means = {name: float(np.mean(value)) for name, value in told.items()}
            last = first + len(host["loss"])
            update(last, means | {"memory_gb": memory.peak_gb()})
            if log:
                log(last, told)
            return means

        while step < steps:
            state, metrics = run(state, min(chunk - step % chunk, steps - step))
            if pending:
                report(*pending)
            pending = (step, metrics)
            step += len(metrics["loss"])
            stop = agreed(stopped)
            regular = step % save_every == 0 or step == steps
            if regular or stop:
                means = report(*pending)
                pending = None
                if checkpoints is None:
                    require_finite(state)
                else:
                    ckpt.save(checkpoints, state, means, stream)
                if visit and regular:  # who asks to stop does not wait for a picture
                    visit(state)
            if step == steps or stop:
                if checkpoints is not None:
                    checkpoints.wait()
                if stop := agreed(stopped):  # one that came while saving, too
                    raise Interrupted(step, stop, checkpoints is not None, state)
    return state


def may_scan(network: Any) -> bool:
    """Whether training steps of `network` may share one `lax.scan`: not those of convolutions on a CPU.

    XLA's CPU backend runs the gradient of a convolution inside a loop some 50 times slower than outside.
    """
    return not (network.convolutional and jax.default_backend() == "cpu")


def _slow(state: TrainState) -> bool:
    """Whether a step takes so much longer than its dispatch that a loop over many saves nothing."""
    return jax.default_backend() == "cpu" and sum(leaf.size for leaf in jax.tree.leaves(state.params)) > _LARGE


def _runner(
    train_step: TrainStep,
    batches: Partial | Iterator,
    stopped: list[int],
    done: Callable[[int], None],
    scanned: bool,
) -> Callable:
    """run(state, n) -> (state, metrics of n steps): an iterator is dispatched, pure batches as told."""
    if not isinstance(batches, Partial):
        return _dispatch(train_step, batches, stopped, done)

    def one(state: TrainState, draw: Partial):
        key_batch, _ = state.keys()
        return train_step(state, draw(key_batch))

    return _scan(one, batches) if scanned else _dispatch(one, itertools.repeat(batches), stopped, done)


def _scan(one: Callable, draw: Partial) -> Callable:
    """run(state, n): n steps in one dispatch, metrics stacked."""

    def run(state: TrainState, draw: Partial, n: int) -> tuple[TrainState, dict[str, jax.Array]]:
        return jax.lax.scan(lambda state, _: one(state, draw), state, None, length=n)

    scan, programs = jax.jit(run, static_argnums=2, donate_argnums=0), {}

    def fitting(state: TrainState, n: int) -> tuple[TrainState, dict[str, jax.Array]]:
        if n not in programs:
            programs[n] = _compiled(scan.lower(state, draw, n))
        return programs[n](state, draw)

    return fitting


def _compiled(lowered: Any) -> Any:
    """The program, where there is memory for it."""
    program = lowered.compile()
    memory.require(program)
    return program


def _dispatch(one: Callable, given: Iterator, stopped: list[int], done: Callable[[int], None]) -> Callable:
    """run(state, n): n dispatches of one step with the next thing given, fewer once stopped, metrics as lists.

    At most two steps wait on the device at a time, so that a signal is answered within two. A batch is fetched while the
    step before it runs, and none that is not used: the place of a stream is always that of the state.

    Args:
        done: called with the number of steps that have ended since `run` was.
    """
    single, program = jax.jit(one, donate_argnums=0), None

    def run(state: TrainState, n: int) -> tuple[TrainState, dict[str, list[jax.Array]]]:
        nonlocal program
        rows = []
        for _ in range(n):
            batch = next(given)
            if program is None:
                program = _compiled(single.lower(state, batch))
            state, row = program(state, batch)
            if rows:
                jax.block_until_ready(rows[-1])
                done(len(rows))
            rows.append(row)
            if agreed(stopped):
                break
        return state, {name: [row[name] for row in rows] for name in rows[0]}

    return run


def _require_finite(metrics: dict[str, np.ndarray], first: int, good: Callable[[], str]) -> None:
    # of the seeds that are trained together the first bad one stands for all
    every = {name: metrics[name].reshape(len(metrics[name]), -1) for name in _MUST_BE_FINITE if name in metrics}
    bad = {name: np.argwhere(~np.isfinite(values)) for name, values in every.items()}
    steps = [places[0, 0] for places in bad.values() if len(places)]
    if steps:
        row = min(steps)
        first_bad = {name: places[places[:, 0] == row][0] for name, places in bad.items() if row in places[:, 0]}
        values = ((_MUST_BE_FINITE[name], every[name][tuple(place)]) for name, place in first_bad.items())
        told = " and ".join(f"{name} is {value}" for name, value in values)
        raise FloatingPointError(f"{told} at step {first + row}; last good checkpoint: {good()}")
