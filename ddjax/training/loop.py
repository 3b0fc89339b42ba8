"""The training loop: many steps per dispatch, checkpoints, a stop on NaN and on SIGTERM."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from ddjax.training import checkpoints as ckpt
from ddjax.training.progress import progress
from ddjax.training.state import TrainState, TrainStep
from ddjax.types import Key

Log = Callable[[int, dict[str, float]], None]
Visit = Callable[[TrainState], None]


class Interrupted(Exception):
    """SIGTERM arrived: the state of `step` has been saved where checkpoints are kept."""

    def __init__(self, step: int):
        super().__init__(f"stopped by SIGTERM at step {step}")
        self.step = step


def fit(
    state: TrainState,
    train_step: TrainStep,
    batch: Callable[[Key], Any],
    *,
    steps: int,
    chunk: int = 100,
    checkpoints: ocp.CheckpointManager | None = None,
    save_every: int = 1000,
    log: Log | None = None,
    visit: Visit | None = None,
    label: str | None = "training",
) -> TrainState:
    """Train from `state.step` to `steps`: one `lax.scan` of `chunk` steps per dispatch, the state donated.

    Batches are drawn on the device from a key folded from (state.key, step), so a resumed run equals an uninterrupted one
    bit for bit. Metrics are read one chunk late: the device never waits for the host.

    Args:
        state: consumed (its buffers are donated). batch: key -> batch, pure. checkpoints: from `checkpoints.manager`.
        save_every: a multiple of `chunk`; the last step is saved too.
        log: called on the host with (step, chunk means of the metrics). visit: called with the state wherever it is saved,
            to judge or to draw; it must not keep the state, whose buffers the next step takes.
        label: of the progress display, None for silence.
    Returns: the state at `steps`.
    Raises: ValueError for a chunk or save_every that does not fit; FloatingPointError at the first loss that is not
        finite, the last good checkpoint untouched; Interrupted after SIGTERM, the state saved.
    """
    if chunk < 1 or save_every < 1 or save_every % chunk:
        raise ValueError(f"save_every must be a positive multiple of chunk, got {save_every=}, {chunk=}")

    def one(state: TrainState, _: None):
        key_batch, _ = state.keys()
        return train_step(state, batch(key_batch))

    run = jax.jit(lambda state, n: jax.lax.scan(one, state, None, length=n), static_argnums=1, donate_argnums=0)
    step = int(state.step)
    display = progress(steps, start=step, label=label) if label else nullcontext(lambda step, metrics: None)
    with _sigterm() as stopped, display as update:
        pending = None

        def report(first: int, stacked: dict[str, jax.Array]) -> None:
            host = {name: np.asarray(values) for name, values in stacked.items()}
            _require_finite(host["loss"], first, checkpoints)
            means = {name: float(values.mean()) for name, values in host.items()}
            last = first + len(host["loss"])
            update(last, means)
            if log:
                log(last, means)

        while step < steps:
            length = min(chunk - step % chunk, steps - step)
            state, metrics = run(state, length)
            if pending:
                report(*pending)
            pending = (step, metrics)
            step += length
            if step % save_every == 0 or step == steps or stopped.is_set():
                report(*pending)
                pending = None
                if checkpoints is not None:
                    ckpt.save(checkpoints, state)
                if visit:
                    visit(state)
            if stopped.is_set() and step < steps:
                raise Interrupted(step)
    return state


def _require_finite(losses: np.ndarray, first: int, checkpoints: ocp.CheckpointManager | None) -> None:
    bad = np.flatnonzero(~np.isfinite(losses))
    if bad.size:
        kept = "none" if checkpoints is None else checkpoints.latest_step()
        raise FloatingPointError(f"the loss is {losses[bad[0]]} at step {first + bad[0]}; last good checkpoint: {kept}")


@contextmanager
def _sigterm() -> Iterator[threading.Event]:
    """An event that SIGTERM sets while the loop runs (in the main thread, where Python allows handlers)."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    previous = signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGTERM, previous)
