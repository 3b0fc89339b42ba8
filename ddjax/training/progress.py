"""A live view of training and judging: a bar on a terminal, plain lines elsewhere."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column

Update = Callable[[int, dict[str, float]], None]

_LINE_EVERY, _BAR_EVERY = 10.0, 0.2  # seconds between plain lines, and between bars
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

    It says "compiling" until the first call. Rates and the time left are those of the steps since. Metrics that a call does
    not bring stand as they were.

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
        TextColumn("{task.fields[left]}"),
    )
    # redrawn on updates only: a refresh thread would compete with the device for two cores
    with Progress(*columns, console=console, auto_refresh=False) as bars:
        task = bars.add_task(label, total=total, completed=start, report="compiling", left="")
        bars.refresh()

        def show(step: int, rate: float | None, metrics: dict[str, float]) -> None:
            names = metrics if console.width >= _WIDE else [name for name in _NARROW if name in metrics]
            report = _report(rate, unit, {name: metrics[name] for name in names})
            left = "" if rate is None else str(timedelta(seconds=round((total - step) / rate)))
            bars.update(task, completed=step, report=report, left=left, refresh=True)

        yield _seldom(show, total, _BAR_EVERY)


@contextmanager
def _lines(console: Console, total: int, start: int, label: str, unit: str) -> Iterator[Update]:
    say = partial(console.print, highlight=False, soft_wrap=True, markup=False)
    say(f"{label} {start}/{total}  compiling")

    def show(step: int, rate: float | None, metrics: dict[str, float]) -> None:
        left = "" if rate is None else f"  {(total - step) / rate:.0f} s left"
        say(f"{label} {step}/{total}  {_report(rate, unit, metrics)}{left}")

    yield _seldom(show, total, _LINE_EVERY)


def _seldom(show: Callable[[int, float | None, dict[str, float]], None], total: int, every: float) -> Update:
    """Show the first call, the last step, and between them one in so many seconds; the rate is that of all after the first."""
    shown: dict[str, float] = {}
    first: tuple[int, float] | None = None
    last = -math.inf

    def update(step: int, metrics: dict[str, float]) -> None:
        nonlocal first, last
        now = time.monotonic()
        shown.update(metrics)
        if first is None:
            first = step, now
        elif step < total and now - last < every:
            return
        last = now
        since, began = first
        show(step, (step - since) / max(now - began, _TICK) if step > since else None, shown)

    return update


def _report(rate: float | None, unit: str, metrics: dict[str, float]) -> str:
    speed = [] if rate is None else [f"{rate:.0f} {unit}/s" if rate >= 10 else f"{rate:.2g} {unit}/s"]
    return "  ".join([*speed, *(f"{name} {value:.4g}" for name, value in metrics.items())])
