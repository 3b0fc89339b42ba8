"""The training loop: many steps per dispatch where that is faster, checkpoints, a stop on NaN and on signals."""

import itertools
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import jax
import numpy as np
from jax.tree_util import Partial

from ddjax.training import checkpoints as ckpt
from ddjax.training.progress import progress
from ddjax.training.sharding import agreed
from ddjax.training.state import TrainState, TrainStep
from ddjax.types import Key, Resumable

_STOPS = (signal.SIGTERM, signal.SIGUSR1)

Log = Callable[[int, dict[str, float]], None]
Visit = Callable[[TrainState], None]


class Interrupted(Exception):
    """SIGTERM or SIGUSR1 arrived: the state of `step` has been saved where checkpoints are kept."""

    def __init__(self, step: int, signum: int):
        super().__init__(f"stopped by {signal.Signals(signum).name} at step {step}")
        self.step, self.signum = step, signum


def fit(
    state: TrainState,
    train_step: TrainStep,
    batch: Callable[[Key], Any] | Resumable,
    *,
    steps: int,
    chunk: int = 100,
    checkpoints: ckpt.Checkpoints | None = None,
    save_every: int = 1000,
    log: Log | None = None,
    visit: Visit | None = None,
    label: str | None = "training",
    scanned: bool = True,
) -> TrainState:
    """Train from `state.step` to `steps`: one `lax.scan` of `chunk` steps per dispatch, the state donated.

    Batches are drawn on the device from a key folded from (state.key, step), so a resumed run equals an uninterrupted one
    bit for bit; or they come from a stream, whose place is saved with the state, and steps are dispatched one by one, the
    next batch on its way while the device works. Metrics are read one chunk late: the device never waits for the host.

    Args:
        state: consumed (its buffers are donated). batch: key -> batch, pure; a
            `jax.tree_util.Partial`, such as `data.batches` returns, brings its arrays as arguments. Or a stream, such as
            `data.Stream`, at the place of `state`, to which `checkpoints.restore` has brought it.
        checkpoints: from `checkpoints.manager`.
        save_every: a multiple of `chunk`; the last step is saved too.
        log: called on the host with (step, chunk means of the metrics). visit: called with the state wherever it is saved,
            to judge or to draw; it must not keep the state, whose buffers the next step takes.
        label: of the progress display, None for silence.
        scanned: False dispatches each step by itself, for networks that `may_scan` refuses.
    Returns: the state at `steps`.
    Raises: ValueError for a chunk or save_every that does not fit; FloatingPointError at the first loss that is not
        finite, the last good checkpoint untouched; Interrupted after SIGTERM or SIGUSR1, the state saved; OSError when
        a checkpoint cannot be written.
    """
    if chunk < 1 or save_every < 1 or save_every % chunk:
        raise ValueError(f"save_every must be a positive multiple of chunk, got {save_every=}, {chunk=}")

    stream = batch if isinstance(batch, Resumable) else None
    step = int(state.step)
    display = progress(steps, start=step, label=label) if label else nullcontext(lambda step, metrics: None)
    with _signals() as stopped, display as update:
        run, pending = _runner(train_step, batch, stopped, scanned), None

        def report(first: int, stacked: dict[str, Any]) -> dict[str, float]:
            host = {name: np.asarray(values) for name, values in jax.device_get(stacked).items()}
            _require_finite(host["loss"], first, checkpoints)
            means = {name: float(values.mean()) for name, values in host.items()}
            last = first + len(host["loss"])
            update(last, means)
            if log:
                log(last, means)
            return means

        while step < steps:
            state, metrics = run(state, min(chunk - step % chunk, steps - step))
            if pending:
                report(*pending)
            pending = (step, metrics)
            step += len(metrics["loss"])
            stop = agreed(stopped)
            if step % save_every == 0 or step == steps or stop:
                means = report(*pending)
                pending = None
                if checkpoints is not None:
                    ckpt.save(checkpoints, state, means, stream)
                if visit:
                    visit(state)
            if step == steps or stop:
                if checkpoints is not None:
                    checkpoints.wait()
                if step < steps:
                    raise Interrupted(step, stop)
    return state


def may_scan(network: Any) -> bool:
    """Whether training steps of `network` may share one `lax.scan`: not those of convolutions on a CPU.

    XLA's CPU backend runs the gradient of a convolution inside a loop some 50 times slower than outside.
    """
    return not (network.convolutional and jax.default_backend() == "cpu")


def _runner(train_step: TrainStep, batch: Any, stopped: list[int], scanned: bool) -> Callable:
    """run(state, n) -> (state, metrics of n steps): a stream is dispatched, pure batches as told."""
    if isinstance(batch, Resumable):
        return _dispatch(train_step, batch, stopped)

    def one(state: TrainState, draw: Partial):
        key_batch, _ = state.keys()
        return train_step(state, draw(key_batch))

    draw = batch if isinstance(batch, Partial) else Partial(batch)  # an argument, so that its data are not compiled in
    return _scan(one, draw) if scanned else _dispatch(one, itertools.repeat(draw), stopped)


def _scan(one: Callable, draw: Partial) -> Callable:
    """run(state, n): n steps in one dispatch, metrics stacked."""

    def run(state: TrainState, draw: Partial, n: int) -> tuple[TrainState, dict[str, jax.Array]]:
        return jax.lax.scan(lambda state, _: one(state, draw), state, None, length=n)

    scan = jax.jit(run, static_argnums=2, donate_argnums=0)
    return lambda state, n: scan(state, draw, n)


def _dispatch(one: Callable, given: Iterator, stopped: list[int]) -> Callable:
    """run(state, n): n dispatches of one step with the next thing given, fewer once stopped, metrics as lists.

    At most two steps wait on the device at a time, so that a signal is answered within two. A batch is fetched while the
    step before it runs, and none that is not used: the place of a stream is always that of the state.
    """
    single = jax.jit(one, donate_argnums=0)

    def run(state: TrainState, n: int) -> tuple[TrainState, dict[str, list[jax.Array]]]:
        rows = []
        for _ in range(n):
            state, row = single(state, next(given))
            jax.block_until_ready(rows[-1:])
            rows.append(row)
            if agreed(stopped):
                break
        return state, {name: [row[name] for row in rows] for name in rows[0]}

    return run


def _require_finite(losses: np.ndarray, first: int, checkpoints: ckpt.Checkpoints | None) -> None:
    bad = np.flatnonzero(~np.isfinite(losses))
    if bad.size:
        kept = "none" if checkpoints is None else checkpoints.latest_step()
        raise FloatingPointError(f"the loss is {losses[bad[0]]} at step {first + bad[0]}; last good checkpoint: {kept}")


@contextmanager
def _signals() -> Iterator[list[int]]:
    """A list that SIGTERM and SIGUSR1 join while the loop runs (in the main thread, where Python allows handlers)."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    previous = {signum: signal.signal(signum, lambda signum, _: received.append(signum)) for signum in _STOPS}
    try:
        yield received
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
