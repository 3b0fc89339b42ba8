"""A live view of training and judging: a bar on a terminal, plain lines elsewhere."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

Update = Callable[[int, dict[str, float]], None]

_LINE_EVERY = 10.0  # seconds between plain lines
_WIDE = 120  # columns of a terminal that has room for all metrics
_NARROW = ("loss", "steps")  # what others show
_TICK = 1e-3  # seconds that have passed at least, whatever a coarse clock says


class _Screen:
    """A stream that may lose its reader: a terminal that is closed must not end the training before it has saved."""

    def __init__(self, stream: Any):
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


@contextmanager
def progress(total: int, *, start: int = 0, label: str = "training", unit: str = "steps") -> Iterator[Update]:
    """Yield `update(step, metrics)`, to be called from the host as steps complete; it writes to stderr.

    Args:
        unit: what is counted, for the rate: "steps" a second.
    """
    console = Console(file=_Screen(sys.stderr))
    display = _bar if console.is_terminal else _lines
    with display(console, total, start, label, unit) as update:
        yield update


@contextmanager
def _bar(console: Console, total: int, start: int, label: str, unit: str) -> Iterator[Update]:
    one_line = {"no_wrap": True, "overflow": "ellipsis"}
    columns = (  # 80 characters hold all of them; the name gives way first
        TextColumn("{task.description}", table_column=Column(max_width=24, ratio=1, **one_line)),
        BarColumn(bar_width=10),
        MofNCompleteColumn(),
        TextColumn("{task.fields[report]}", table_column=Column(**one_line)),
        TimeRemainingColumn(),
    )
    clock = _clock(start)
    # redrawn on updates only: a refresh thread would compete with the device for two cores
    with Progress(*columns, console=console, auto_refresh=False) as bars:
        task = bars.add_task(label, total=total, completed=start, report="compiling")
        bars.refresh()

        def update(step: int, metrics: dict[str, float]) -> None:
            names = metrics if console.width >= _WIDE else [name for name in _NARROW if name in metrics]
            told = _report(clock(step), unit, {name: metrics[name] for name in names})
            bars.update(task, completed=step, report=told, refresh=True)

        yield update


@contextmanager
def _lines(console: Console, total: int, start: int, label: str, unit: str) -> Iterator[Update]:
    last, clock = time.monotonic(), _clock(start)

    def update(step: int, metrics: dict[str, float]) -> None:
        nonlocal last
        now, rate = time.monotonic(), clock(step)
        if step < total and now - last < _LINE_EVERY:
            return
        last = now
        left = (total - step) / rate if rate > 0 else math.inf
        told = _report(rate, unit, metrics)
        console.print(f"{label} {step}/{total}  {told}  {left:.0f} s left", highlight=False, soft_wrap=True)

    yield update


def _clock(start: int) -> Callable[[int], float]:
    """Steps a second so far, without those up to the first report once there is a second: it waited for compilation."""
    marks = [(start, time.monotonic())]

    def rate(step: int) -> float:
        since, began = marks[-1]
        now = time.monotonic()
        if len(marks) == 1:
            marks.append((step, now))
        return (step - since) / max(now - began, _TICK)

    return rate


def _report(rate: float, unit: str, metrics: dict[str, float]) -> str:
    speed = f"{rate:.0f}" if rate >= 10 else f"{rate:.2g}"
    return "  ".join([f"{speed} {unit}/s", *(f"{name} {value:.4g}" for name, value in metrics.items())])
