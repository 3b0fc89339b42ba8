"""The training loop: many steps per dispatch where that is faster, checkpoints, a stop on NaN and on SIGTERM."""

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
from ddjax.types import Key, Network

Log = Callable[[int, dict[str, float]], None]


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
    label: str | None = "training",
    scanned: bool = True,
) -> TrainState:
    """Train from `state.step` to `steps`: one `lax.scan` of `chunk` steps per dispatch, the state donated.

    Batches are drawn on the device from a key folded from (state.key, step), so a resumed run equals an uninterrupted one
    bit for bit. Metrics are read one chunk late: the device never waits for the host.

    Args:
        state: consumed (its buffers are donated). batch: key -> batch, pure. checkpoints: from `checkpoints.manager`.
        save_every: a multiple of `chunk`; the last step is saved too.
        log: called on the host with (step, chunk means of the metrics). label: of the progress display, None for silence.
        scanned: False dispatches each step by itself, for networks that `may_scan` refuses.
    Returns: the state at `steps`.
    Raises: ValueError for a chunk or save_every that does not fit; FloatingPointError at the first loss that is not
        finite, the last good checkpoint untouched; Interrupted after SIGTERM, the state saved.
    """
    if chunk < 1 or save_every < 1 or save_every % chunk:
        raise ValueError(f"save_every must be a positive multiple of chunk, got {save_every=}, {chunk=}")

    def one(state: TrainState, _: None):
        key_batch, _ = state.keys()
        return train_step(state, batch(key_batch))

    run = (_scan if scanned else _dispatch)(one)
    step = int(state.step)
    display = progress(steps, start=step, label=label) if label else nullcontext(lambda step, metrics: None)
    with _sigterm() as stopped, display as update:
        pending = None

        def report(first: int, stacked: dict[str, Any]) -> None:
            host = {name: np.asarray(values) for name, values in jax.device_get(stacked).items()}
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
            if stopped.is_set() and step < steps:
                raise Interrupted(step)
    return state


def may_scan(network: Network) -> bool:
    """Whether training steps of `network` may share one `lax.scan`: not those of convolutions on a CPU.

    XLA's CPU backend runs the gradient of a convolution inside a loop some 50 times slower than outside.
    """
    return not (getattr(network, "convolutional", False) and jax.default_backend() == "cpu")


def _scan(one: Callable) -> Callable:
    """run(state, n): n steps in one dispatch, metrics stacked."""
    return jax.jit(lambda state, n: jax.lax.scan(one, state, None, length=n), static_argnums=1, donate_argnums=0)


def _dispatch(one: Callable) -> Callable:
    """run(state, n): n dispatches of one step, metrics as lists; at most two steps wait on the device at a time."""
    single = jax.jit(one, donate_argnums=0)

    def run(state: TrainState, n: int) -> tuple[TrainState, dict[str, list[jax.Array]]]:
        rows = []
        for _ in range(n):
            state, row = single(state, None)
            jax.block_until_ready(rows[-1:])
            rows.append(row)
        return state, {name: [row[name] for row in rows] for name in rows[0]}

    return run


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
