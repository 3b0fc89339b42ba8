"""Checkpoints that can be trusted: Orbax writes them in the background, a sha256 manifest tells whether they are intact.

A step counts only with its manifest, written last. `restore` takes the newest intact step, renames damaged ones to
`<step>.damaged` with a warning, and so never resumes from a flipped byte, a half-written step or a stray folder. Saved on
any number of devices and processes, restored on any other: the shardings are those of the state that asks.
"""

import os
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import closing, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from jaxtyping import Array
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from ddjax.training import lock, manifest
from ddjax.training.packing import SHAPES, digest, pack, unpack
from ddjax.training.state import TrainState
from ddjax.types import Resumable

_PLACE = "stream.json"  # in the folder of a step: the place of the stream that the next batch comes from


class Checkpoints:
    """An open folder of checkpoints, from `manager`: close it, or use it in a `with`. One run at a time can have it."""

    def __init__(self, folder: Path, orbax: ocp.CheckpointManager, lock: TextIO | None, best: str | None):
        self.folder, self.orbax, self.best = folder, orbax, best
        self._lock, self._writer, self._error, self._failed = lock, None, None, False

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def start(self, step: int, state: TrainState, metrics: dict[str, float], place: str | None) -> None:
        """Begin to save a step: the state has been copied on return, and may be donated."""
        stored = _stored(state)
        kept = None if self.best is None else metrics  # a file less where nobody asks
        save = partial(self.orbax.save, step, args=ocp.args.StandardSave(stored), metrics=kept, force=True)
        if isinstance(stored, dict) and jax.process_count() == 1:  # vectors are a copy: Orbax's own part can wait, too
            self._begin(step, place, save)
            return
        try:
            save()
        except Exception as error:
            raise self._failure(step, error) from None
        self._begin(step, place)

    def wait(self) -> None:
        """Return when the last save is complete. Raises: OSError if it failed, a full disk above all."""
        if self._writer is not None:
            self._writer.join()
            self._writer = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def latest_step(self) -> int | None:
        """The newest complete step."""
        self.wait()
        return self.orbax.latest_step()

    def close(self) -> None:
        """Complete the last save and let other runs have the folder. Raises: as `wait` does."""
        try:
            self.wait()
        finally:  # where a save failed, Orbax tells it again when it closes
            with (
                closing(self._lock) if self._lock else nullcontext(),
                suppress(Exception) if self._failed else nullcontext(),
            ):
                self.orbax.close()

    def _begin(self, step: int, place: str | None, save: Callable[[], Any] | None = None) -> None:
        def write() -> None:
            if sys.platform == "linux":  # the last in line for a core, where a thread has a priority of its own
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
            try:
                if save is not None:
                    save()
                self.orbax.wait_until_finished()
                if jax.process_index() == 0:
                    if place is not None:
                        (self.folder / str(step) / _PLACE).write_text(place)
                    manifest.write(self.folder / str(step))
            except Exception as error:
                self._error = self._failure(step, error)

        self._writer = threading.Thread(target=write)
        self._writer.start()

    def _failure(self, step: int, error: Exception) -> OSError:
        self._failed = True
        full = "No space left" in str(error)
        reason = "the disk is full: make room, then resume" if full else " ".join(str(error).split())[:300]
        good = next((step for step in manifest.steps(self.folder) if manifest.intact(self.folder / str(step))), "none")
        return OSError(f"cannot save step {step} in {self.folder}: {reason}; last good checkpoint: {good}")


def manager(folder: str | Path, *, keep: int = 2, best: str | None = None) -> Checkpoints:
    """Open `folder` for one run, which keeps the newest `keep` steps.

    Args:
        keep: at least 2, so that an intact one is left while the next is written.
        best: name of a metric; the step with its smallest value is kept as well.
    Raises: ValueError for keep < 2; OSError for a folder that another run uses or that cannot be written.
    """
    if keep < 2:
        raise ValueError(f"at least 2 checkpoints are kept, got {keep=}")
    folder = Path(folder).absolute()
    held = lock.acquire(folder) if jax.process_index() == 0 else None
    policies = [LatestN(keep)]
    if best is not None:
        policies.append(BestN(get_metric_fn=lambda metrics: metrics[best], reverse=True, n=1))
    try:
        orbax = _open(
            folder,
            preservation_policy=AnyPreservationPolicy(policies),
            best_fn=None if best is None else lambda metrics: metrics[best],
            best_mode="min",
            cleanup_tmp_directories=True,
        )
    except BaseException:
        if held is not None:
            held.close()
        raise
    return Checkpoints(folder, orbax, held, best)


def save(
    checkpoints: Checkpoints,
    state: TrainState,
    metrics: dict[str, float] | None = None,
    stream: Resumable | None = None,
) -> None:
    """Begin to write the state of its step, then its manifest, in the background; `checkpoints.wait()` waits for it.

    A step already there is left as it is.

    Args:
        stream: that the batches come from: its place is kept with the state.
    Raises: OSError if this save, or the one before, failed.
    """
    checkpoints.wait()
    step = int(state.step)
    if step not in checkpoints.orbax.all_steps():
        checkpoints.start(step, state, metrics or {}, None if stream is None else stream.get_state())


def restore(checkpoints: Checkpoints, like: TrainState, stream: Resumable | None = None) -> TrainState | None:
    """The newest intact state, in the structure, dtypes and shardings of `like`; None where there is none.

    Args:
        stream: that the batches come from: it is brought to the place that was kept with the state.
    Raises: ValueError for a checkpoint of another model, optimizer or stream.
    """
    checkpoints.wait()
    folder = checkpoints.folder
    if jax.process_index() == 0:
        for step in [step for step in manifest.steps(folder) if not manifest.intact(folder / str(step))]:
            _warn(folder, step)
            (folder / str(step)).rename(_unused(folder / f"{step}.damaged"))
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("damaged checkpoints set aside")
    checkpoints.orbax.reload()
    step = checkpoints.orbax.latest_step()
    if step is None:
        return None
    state = _read(checkpoints.orbax, step, like)
    _bring(stream, folder / str(step))
    return state


def restore_newest(folder: str | Path, like: TrainState) -> TrainState:
    """The newest intact state under `folder`, read only: damaged steps are passed over with a warning and left in place.

    Raises: FileNotFoundError where no intact step exists; ValueError for a checkpoint of another model or optimizer.
    """
    folder = Path(folder).absolute()
    for step in manifest.steps(folder):
        if manifest.intact(folder / str(step)):
            with _open(folder, create=False, read_only=True) as orbax:
                return _read(orbax, step, like)
        _warn(folder, step)
    raise FileNotFoundError(f"no intact checkpoint under {folder}")


def restore_best(folder: str | Path, like: TrainState, *, metric: str) -> TrainState:
    """The intact state whose `metric` was smallest when it was saved (`manager(best=metric)`), read only as above."""
    folder = Path(folder).absolute()
    with _open(folder, create=False, read_only=True) as orbax:
        intact = [step for step in manifest.steps(folder) if manifest.intact(folder / str(step))]
        values = {step: (orbax.metrics(step) or {}).get(metric) for step in intact}
        known = {step: value for step, value in values.items() if value is not None}
        if not known:
            raise FileNotFoundError(f"no intact checkpoint with a {metric!r} under {folder}")
        return _read(orbax, min(known, key=known.get), like)


def _open(folder: Path, **options) -> ocp.CheckpointManager:
    # on one device a state is a few vectors, and a thread of ours the background: the rest of Orbax's would double the cost
    many = jax.device_count() > 1
    options = ocp.CheckpointManagerOptions(**options, enable_async_checkpointing=many)
    handler = ocp.StandardCheckpointHandler(use_ocdbt=many)
    return ocp.CheckpointManager(folder, options=options, item_handlers=handler)


def _warn(folder: Path, step: int) -> None:
    warnings.warn(f"checkpoint {folder}/{step} is damaged or incomplete; using an earlier one", stacklevel=3)


def _unused(path: Path) -> Path:
    candidates = [path, *(path.with_name(f"{path.name}{i}") for i in range(1, 1000))]
    return next(candidate for candidate in candidates if not candidate.exists())


def _bring(stream: Resumable | None, step: Path) -> None:
    """Bring a stream to the place kept in the folder of a step."""
    place = (step / _PLACE).read_text() if (step / _PLACE).is_file() else None
    if (stream is None) != (place is None):
        there, here = ("a stream", "draws") if stream is None else ("draws", "a stream")
        raise ValueError(f"checkpoint {step} took its batches from {there}, this run takes them from {here}")
    try:
        if stream is not None:
            stream.set_state(place)
    except ValueError as error:
        raise ValueError(f"checkpoint {step}: {error}") from None


def _raw(state: TrainState) -> TrainState:
    """The state with its key as plain integers, which Orbax stores."""
    return state._replace(key=jax.random.key_data(state.key))


def _stored(state: TrainState) -> dict[str, Array] | TrainState:
    """What is written: a state that is whole on every device as a few vectors, one that is split as it is."""
    raw = _raw(state)
    return pack(raw) if all(leaf.is_fully_replicated for leaf in jax.tree.leaves(raw)) else raw


def _read(orbax: ocp.CheckpointManager, step: int, like: TrainState) -> TrainState:
    raw, stored = _raw(like), orbax.item_metadata(step)
    packed = stored is not None and SHAPES in stored
    wanted = jax.tree.map(ocp.utils.to_shape_dtype_struct, _whole(raw) if packed else raw)
    if stored is None or _signature(stored) != _signature(wanted):
        raise _another_model(orbax, step)
    found = orbax.restore(step, args=ocp.args.StandardRestore(wanted))
    if packed:
        if not (np.asarray(found[SHAPES]) == digest(raw)).all():
            raise _another_model(orbax, step)
        shardings = jax.tree.map(lambda leaf: leaf.sharding, raw)
        found = jax.jit(lambda vectors: unpack(vectors, raw), out_shardings=shardings)(found)
    return found._replace(key=jax.random.wrap_key_data(found.key, impl=jax.random.key_impl(like.key)))


def _whole(raw: TrainState) -> Any:
    """The vectors of a state, abstract, whole on every device that the state lies on."""
    sharding = raw.step.sharding  # a scalar is never split
    return jax.tree.map(lambda v: jax.ShapeDtypeStruct(v.shape, v.dtype, sharding=sharding), jax.eval_shape(pack, raw))


def _another_model(orbax: ocp.CheckpointManager, step: int) -> ValueError:
    return ValueError(f"checkpoint {orbax.directory}/{step} holds another model or optimizer than this run's")


def _signature(tree) -> list[tuple]:
    return sorted((tuple(leaf.shape), str(leaf.dtype)) for leaf in jax.tree.leaves(tree) if hasattr(leaf, "shape"))
