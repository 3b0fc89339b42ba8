"""A live view of training: a bar on a terminal, plain lines elsewhere."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Update = Callable[[int, dict[str, float]], None]

_LINE_EVERY = 10.0  # seconds between plain lines
_TICK = 1e-3  # seconds that have passed at least, whatever a coarse clock says


@contextmanager
def progress(total: int, *, start: int = 0, label: str = "training") -> Iterator[Update]:
    """Yield `update(step, metrics)`, to be called from the host as steps complete; it writes to stderr."""
    console = Console(stderr=True)
    with _bar(console, total, start, label) if console.is_terminal else _lines(console, total, start, label) as update:
        yield update


@contextmanager
def _bar(console: Console, total: int, start: int, label: str) -> Iterator[Update]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[report]}"),
    )
    began = time.monotonic()
    # redrawn on updates only: a refresh thread would compete with the device for two cores
    with Progress(*columns, console=console, auto_refresh=False) as bars:
        task = bars.add_task(label, total=total, completed=start, report="compiling")

        def update(step: int, metrics: dict[str, float]) -> None:
            rate = (step - start) / max(time.monotonic() - began, _TICK)
            bars.update(task, completed=step, report=_report(rate, metrics), refresh=True)

        yield update


@contextmanager
def _lines(console: Console, total: int, start: int, label: str) -> Iterator[Update]:
    began = last = time.monotonic()

    def update(step: int, metrics: dict[str, float]) -> None:
        nonlocal last
        now = time.monotonic()
        if step < total and now - last < _LINE_EVERY:
            return
        last = now
        rate = (step - start) / max(now - began, _TICK)
        left = (total - step) / rate if rate > 0 else math.inf
        console.print(
            f"{label} {step}/{total}  {_report(rate, metrics)}  {left:.0f} s left", highlight=False, soft_wrap=True
        )

    yield update


def _report(rate: float, metrics: dict[str, float]) -> str:
    return "  ".join([f"{rate:.0f} steps/s", *(f"{name} {value:.4g}" for name, value in metrics.items())])
