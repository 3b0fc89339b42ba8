"""What a side of a benchmark is: named pieces of work to be timed, and questions to be answered."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Work(NamedTuple):
    """One call of `run` is what gets timed; it returns when the device is done.

    `units` steps (or whatever the table counts) are in a call, `flops` of model arithmetic too (0: not counted).
    """

    run: Callable[[], Any]
    units: int = 1
    flops: float = 0.0


class Side(NamedTuple):
    """A side: its work by name, the first of which ends the start-up, and what it can be asked.

    `equal` gives labelled numbers on which all sides that give the label must agree (parameters, batch, losses at equal
    weights and noise, values). `answers` take JSON values and return them; `matmul` returns a function that multiplies
    two square matrices of a size.
    """

    work: dict[str, Work]
    equal: Callable[[], dict[str, float | int]]
    device: str
    memory_mb: Callable[[], float]
    matmul: Callable[[int], Callable[[], Any]]
    answers: dict[str, Callable[..., Any]] = {}  # noqa: RUF012 (never written to)
