"""Rows under a budget: sides one after the other, in order of value, each with a deadline of its own, kept as they come.

One process at a time is on the device, and nobody else's start or compilation stands beside a timed round. A side that does not
come to its first round in time is ended and told; so is one whose package is missing, or whose work is not that of the others.
"""

import importlib.util
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ddjax.cli import UserError
from experiments.benchmark import turns

LEAST = 4.0  # seconds below which no process is worth starting
SAME = 2e-2  # of losses and values: TensorFloat-32 and bfloat16 keep 10 and 7 bits, over networks of some dozen layers


class Case(NamedTuple):
    """A side of a group of rows that do the same work, and the most seconds that it may take in all."""

    group: str
    side: str
    module: str
    settings: dict[str, Any]
    most: float
    needs: tuple[str, ...] = ()


def measured(cases: Sequence[Case], rounds: int, budget: float) -> Iterator[dict[str, Any]]:
    """The part of the suite after each case: its rows so far, devices, the bfloat16 peak where a side measured it."""
    part: dict[str, Any] = {"budget": budget, "rows": []}
    end, facts = time.monotonic() + budget, {}
    with tempfile.TemporaryDirectory() as cache:  # a program meets the autotuning of those before it
        for case in cases:
            least = min(case.most, end - time.monotonic())
            try:
                part["rows"] += _rows(case, rounds, time.monotonic() + least, Path(cache), facts, part)
            except UserError as error:
                part["rows"].append({"group": case.group, "side": case.side, "told": str(error)})
            yield part


def _rows(case: Case, rounds: int, end: float, cache: Path, facts: dict[str, dict], part: dict) -> list[dict]:
    """Raises: UserError for what keeps the side from being timed."""
    if lacking := [name for name in case.needs if importlib.util.find_spec(name) is None]:
        raise UserError(f"left out: {', '.join(lacking)} not installed")
    if _left(end) < LEAST:
        raise UserError("left out: no time left in the budget")
    process = turns.Process(case.side, case.module, case.settings, cache, within=_left(end))
    try:
        others = facts.setdefault(case.group, {})
        turns.require_equal(others | {case.side: process.facts}, SAME, relative=True)
        others[case.side] = process.facts
        seconds = {work: _timed(process, work, rounds, end) for work in process.facts["first"]}
        outcome = turns.Outcome(process.facts, seconds, process.ask("memory", within=max(_left(end), LEAST)))
        part.setdefault("device", process.facts["device"])
        if "peak_tflops" not in part and "peak bf16" in process.facts["answers"] and _left(end) > LEAST:
            part["peak_tflops"] = float(f"{process.ask('peak bf16', within=_left(end)) / 1e12:.4g}")
    finally:
        process.close()
    rows = [{"group": case.group} | row for row in turns.rows({case.side: outcome}, ())]
    for row in rows:
        del row["ratio"]
        own, *rest = (_flops(fact, row["work"]) for fact in (process.facts, *others.values()))
        if flops := own or max(rest):  # a side that counts none does the same work as one that does
            row["tflops"] = float(f"{flops / row['ms'] / 1e9:.4g}")  # pyright: ignore[reportOperatorIssue]
    return rows


def _flops(fact: dict[str, Any], work: str) -> float:
    return fact["flops"].get(work, 0.0) / fact["units"].get(work, 1)


def _timed(process: turns.Process, work: str, rounds: int, end: float) -> np.ndarray:
    """Seconds of as many rounds as there is time for, one at least."""
    taken = [process.ask("time", work, within=max(_left(end), LEAST))]
    while len(taken) < rounds and _left(end) > 2 * taken[-1] + 1:
        taken.append(process.ask("time", work, within=_left(end)))
    return np.array(taken)


def _left(end: float) -> float:
    return end - time.monotonic()
