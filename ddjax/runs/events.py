"""Training metrics and watched numbers as TensorBoard events beside the rows of a run, by tensorboardX (the `log` extra)."""

import contextlib
import importlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ddjax.cli import UserError
from ddjax.files import naming

Log = Callable[[int, dict[str, float]], None]
_FLUSH_EVERY = 10.0  # seconds: each flush waits for the disk


def require() -> None:
    """Raises: UserError where tensorboardX is not installed."""
    try:
        importlib.import_module("tensorboardX")
    except ImportError:
        raise UserError("--tensorboard needs tensorboardX, which is not installed: pip install 'ddjax[log]'") from None


@contextlib.contextmanager
def beside(folder: Path | None, from_step: int) -> Iterator[Callable[..., Log | None]]:
    """Yield `also(log, group="")`: a log that tells events in `folder` too, or for None the same log.

    What an earlier start of the job told beyond from_step counts no longer, for TensorBoard as for the rows.
    """
    if folder is None:
        yield lambda log, group="": log
        return
    with _written(folder, from_step) as tell:

        def also(log: Log, group: str = "") -> Log:
            def both(step: int, metrics: dict[str, float]) -> None:
                log(step, metrics)
                tell(step, {group + name: value for name, value in metrics.items()})

            return both

        yield also


@contextlib.contextmanager
def _written(folder: Path, from_step: int) -> Iterator[Log]:
    """Yield `tell(step, metrics)`, which adds events to a file of its own in `folder`.

    Written at once, not by a thread of tensorboardX: one that dies of a full disk would keep training waiting for ever.
    """
    require()
    from tensorboardX.event_file_writer import EventsWriter
    from tensorboardX.proto.event_pb2 import Event, SessionLog  # pyright: ignore[reportAttributeAccessIssue]
    from tensorboardX.summary import Summary  # pyright: ignore[reportAttributeAccessIssue]

    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
        # the step in the name: a start within the same second must not take the file of the one before
        writer, flushed = EventsWriter(str(folder / "events"), f".{from_step:010d}"), time.monotonic()
        start = SessionLog(status=SessionLog.START)  # of events from this step on TensorBoard forgets those before
        writer.write_event(Event(wall_time=time.time(), step=from_step + 1, session_log=start))

    def tell(step: int, metrics: dict[str, float]) -> None:
        nonlocal flushed
        values = [Summary.Value(tag=name, simple_value=value) for name, value in metrics.items()]
        with naming(folder):
            writer.write_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))
            if time.monotonic() - flushed > _FLUSH_EVERY:
                writer.flush()
                flushed = time.monotonic()

    try:
        yield tell
    finally:
        with naming(folder):
            writer.close()
