"""The open folder of one run's checkpoints: a save goes on in the background, and a failure is told by the next call."""

import errno
import os
import shutil
import sys
import threading
from collections.abc import Callable
from contextlib import closing, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import jax
import orbax.checkpoint as ocp
from jaxtyping import Array

from ddjax.training import manifest
from ddjax.training.packing import pack
from ddjax.training.state import TrainState, bare

PLACE = "stream.json"  # in the folder of a step: the place of the stream that the next batch comes from
_ROOM = 2**17  # bytes that the small files of a step take at most, in blocks of a file system


class Checkpoints:
    """An open folder of checkpoints, from `manager`: close it, or use it in a `with`. One run at a time can have it."""

    def __init__(
        self, folder: Path, orbax: ocp.CheckpointManager, lock: TextIO | None, best: str | None, job: str | None
    ):
        self.folder, self.orbax, self.best, self.job = folder, orbax, best, job
        self._lock, self._writer, self._error, self._failed = lock, None, None, False

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def start(self, step: int, state: TrainState, metrics: dict[str, float], place: str | None) -> None:
        """Begin to save a step: the state has been copied on return, and may be donated."""
        stored = _stored(state)
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(stored))
        if shutil.disk_usage(self.folder).free < size + _ROOM:  # Orbax's threads would fail one by one, each at length
            raise self._failure(step, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
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

    def last_good(self) -> str:
        """The newest step that is intact on disk, in words, once the last save has ended."""
        with suppress(OSError):
            self.wait()
        return self._last_good()

    def _last_good(self) -> str:
        steps = manifest.steps(self.folder)
        return next((str(step) for step in steps if manifest.intact(self.folder / str(step), self.job)), "none")

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
                        (self.folder / str(step) / PLACE).write_text(place, encoding="utf-8")
                    manifest.write(self.folder / str(step), self.job)
            except Exception as error:
                self._error = self._failure(step, error)

        self._writer = threading.Thread(target=write)
        self._writer.start()

    def _failure(self, step: int, error: Exception) -> OSError:
        self._failed = True
        full = any(os.strerror(number) in str(error) for number in (errno.ENOSPC, errno.EDQUOT))
        reason = "the disk is full: make room, then resume" if full else " ".join(str(error).split())[:300]
        return OSError(f"cannot save step {step} in {self.folder}: {reason}; last good checkpoint: {self._last_good()}")


def _stored(state: TrainState) -> dict[str, Array] | TrainState:
    """What is written: a state that is whole on every device as a few vectors, one that is split as it is."""
    raw = bare(state)
    return pack(raw) if all(leaf.is_fully_replicated for leaf in jax.tree.leaves(raw)) else raw
