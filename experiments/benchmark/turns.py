"""Taking turns: sides in processes of their own, timed in interleaved rounds, their work checked to be equal."""

# a process started with pipes has them
# pyright: reportOptionalMemberAccess=false
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ddjax.cli import UserError

PAUSE = 0.3  # seconds in which a side's threads stop spinning before the next one starts
Sides = dict[str, tuple[str, dict[str, Any]]]  # name -> (module, settings of its `make`)


def environment(cache: Path | None, scratch: Path) -> dict[str, str]:
    """The environment of a side: jax and torch keep all that they compile in `cache`, or find nothing compiled."""
    env = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TORCHINDUCTOR_CACHE_DIR": str(scratch)}
    if cache is None:
        return {name: value for name, value in env.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    return env | {
        "JAX_COMPILATION_CACHE_DIR": str(cache / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "torch"),
    }


class Process:
    """A side at work; what it compiles is kept in `cache`, or forgotten; it is ended where it is not ready `within` seconds."""

    def __init__(
        self,
        name: str,
        module: str,
        settings: dict[str, Any],
        cache: Path | None = None,
        within: float | None = None,
    ):
        self.name, self.errors = name, tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the process)
        command = [sys.executable, "-m", "experiments.benchmark.worker", module, json.dumps(settings)]
        self.scratch = tempfile.TemporaryDirectory()
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.errors, "text": True}
        env = environment(cache, Path(self.scratch.name))
        self.process = subprocess.Popen([*command, repr(time.time()), str(os.getpid())], env=env, **pipes)
        try:
            self.facts = self.ask("facts", within=within)  # answered once start-up and warm-up are over
        except BaseException:
            self.close()
            raise

    def ask(self, *words: Any, within: float | None = None) -> Any:
        """The answer to a word with arguments. Raises: UserError when the side fails, or takes longer and is ended."""
        late = threading.Event()
        watch = threading.Timer(within or 0, lambda: (late.set(), self.process.kill()))
        if within is not None:
            watch.start()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(words) + "\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        watch.cancel()
        if late.is_set():
            raise UserError(f"the side {self.name!r} took longer than its {within:.0f} s")
        if not line:
            self.errors.seek(0)
            told = [line for line in self.errors.read().splitlines() if line.strip()] or ["no message"]
            raise UserError(f"the side {self.name!r} failed: {told[-1].strip()[:300]}")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()
        self.scratch.cleanup()


@contextlib.contextmanager
def started(sides: Sides, *, tolerance: float, relative: bool = False) -> Iterator[dict[str, Process]]:
    """All sides, started one after the other (starting up is timed too), their work checked; they end with the block.

    Raises: UserError where sides disagree or see different devices.
    """
    processes: dict[str, Process] = {}
    try:
        for name, (module, settings) in sides.items():
            processes[name] = Process(name, module, settings)
            print(f"  {name}: ready after {processes[name].facts['ready']:.1f} s", flush=True)
        require_equal({name: process.facts for name, process in processes.items()}, tolerance, relative=relative)
        yield processes
    finally:
        for process in processes.values():
            process.close()


def require_equal(facts: dict[str, dict[str, Any]], tolerance: float, *, relative: bool = False) -> None:
    """Counts must be the same, other numbers within the tolerance, wherever two sides give the same label.

    Raises: UserError naming the label, or different kinds of device.
    """
    devices = {name: fact["device"] for name, fact in facts.items()}
    if len({device == "cpu" for device in devices.values()}) > 1:
        raise UserError(f"the sides see different devices, {devices}: install jax and torch for the same one")
    for label in dict.fromkeys(label for fact in facts.values() for label in fact["equal"]):
        given = {name: fact["equal"][label] for name, fact in facts.items() if label in fact["equal"]}
        values = np.array(list(given.values()), float)
        counts = all(isinstance(value, int) for value in given.values())
        allowed = 0 if counts else tolerance * (np.abs(values).max() if relative else 1)
        if not np.ptp(values) <= allowed:  # NaN included
            raise UserError(f"the sides do not do the same work: {label} is {given}")


class Outcome(NamedTuple):
    """A side after the race: its facts, seconds of every round by work, peak memory in MB."""

    facts: dict[str, Any]
    seconds: dict[str, np.ndarray]
    memory_mb: float


def race(processes: dict[str, Process], rounds: int) -> dict[str, Outcome]:
    """Every side does every work once a round; the order of sides turns by one each round."""
    seconds = {name: {work: [] for work in process.facts["first"]} for name, process in processes.items()}
    names = list(processes)
    for round_ in range(rounds):
        for name in [*names[round_ % len(names) :], *names[: round_ % len(names)]]:
            for work, taken in seconds[name].items():
                taken.append(processes[name].ask("time", work))
            time.sleep(PAUSE)
    return {
        name: Outcome(
            process.facts, {work: np.array(taken) for work, taken in seconds[name].items()}, process.ask("memory")
        )
        for name, process in processes.items()
    }


def peak(processes: dict[str, Process]) -> float:
    """The machine's measured float32 matmul peak in FLOP/s: the best that any of these sides reaches."""
    return max(process.ask("peak") for process in processes.values())


def measured(
    sides: Sides,
    rounds: int,
    *,
    bases: Sequence[str] = (),
    tolerance: float = 1e-5,
    relative: bool = False,
    with_peak: bool = False,
) -> dict[str, Any]:
    """The part of a suite that a race gives: rows, what was checked to be equal, and the matmul peak where wanted."""
    with started(sides, tolerance=tolerance, relative=relative) as processes:
        outcomes = race(processes, rounds)
        best = peak(processes) if with_peak else None  # afterwards: its matrices must not count as a side's memory
    equal = {name: outcome.facts["equal"] for name, outcome in outcomes.items()}
    part = {
        "device": next(iter(outcomes.values())).facts["device"],
        "rows": rows(outcomes, bases, best),
        "equal": equal,
    }
    return part | ({"peak_gflops": round(best / 1e9, 1)} if best else {})


def rows(outcomes: dict[str, Outcome], bases: Sequence[str], peak_flops: float | None = None) -> list[dict[str, Any]]:
    """A row for each side and work: milliseconds a unit (median, quartiles), ratios to the bases paired by round (above 1:
    faster than the base), seconds of compilation, share of the peak."""
    found = []
    for name, (facts, seconds, memory_mb) in outcomes.items():
        for work, taken in seconds.items():
            low, median, high = (1e3 * np.quantile(taken, q) / facts["units"][work] for q in (0.25, 0.5, 0.75))
            ratios = {
                base: float(np.median(_per_unit(outcomes[base], work) / _per_unit(outcomes[name], work)))
                for base in bases
                if base in outcomes and work in outcomes[base].seconds
            }
            row = {"side": name, "work": work, "ms": median, "low_ms": low, "high_ms": high, "ratio": ratios}
            row |= {"compile_s": max(0.0, facts["first"][work] - float(np.median(taken)))}
            row |= {"ready_s": facts["ready"], "memory_mb": memory_mb, "rounds": len(taken)}
            if peak_flops and facts["flops"][work]:
                row["peak_share"] = facts["flops"][work] / float(np.median(taken)) / peak_flops
            found.append(_rounded(row))
    return found


def _per_unit(outcome: Outcome, work: str) -> np.ndarray:
    return outcome.seconds[work] / outcome.facts["units"][work]


def _rounded(value: Any) -> Any:
    """Floats at four digits: what was measured has no more."""
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value
