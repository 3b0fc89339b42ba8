"""One command: run suites, store their results, make the tables and figures of docs/speed.md from what is stored."""

import importlib
import importlib.util
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ddjax import cli
from ddjax.cli.settings import Count
from experiments.benchmark import machine, results
from experiments.benchmark.suites import Plan

SUITES = ("toy", "quality", "scaling", "sampler", "unet", "dit", "ot", "metrics", "gradient", "gpu")
ALL = SUITES[:-2]
SHORT_ROUNDS = 2


@dataclass(frozen=True)
class Config:
    """Time ddjax against torch and the libraries around it (the `bench` extra), in processes that take turns.

    Ratios are medians over rounds of (other / ddjax): above 1, ddjax is faster. Results go to
    benchmarks/results/<machine>.json, where a suite replaces its own part alone.

    Example: python -m experiments.benchmark --suite toy --rounds 3
    """

    suite: tuple[Literal[(*SUITES, "all")], ...] = ("toy",)  # pyright: ignore[reportInvalidTypeForm]
    """Suites to run; all is every one but gradient, where geomloss takes a quarter of an hour, and gpu: large nets, in order of
    value, with what is missing or too slow left out."""
    rounds: Count = 7
    """Rounds of every race, after a warm-up."""
    short: bool = False
    """Small sizes and two rounds, to see that all works; never stored over full results."""
    budget: Count = 300
    """Seconds for the suite gpu, whose rows are stored as they come."""
    machine: str | None = None
    """Name of the results file (default: from the hardware, such as cpu-2-cores)."""
    render: bool = False
    """Run nothing: make the tables of docs/speed.md and their figures from the stored results."""

    def check(self) -> None:
        """Raises: UserError for the name of a machine that is a path."""
        name = self.machine
        if name is not None and (Path(name).name != name or name.startswith(".")):
            raise cli.UserError(f"--machine must be a plain name such as cpu-2-cores, got {name!r}")


def run(config: Config) -> None:
    """Run the suites one after the other, storing each as it ends; or render."""
    if config.render:
        from experiments.benchmark import render

        render.write(results.ROOT, results.every())
        return
    from experiments.benchmark import tables

    suites = chosen(config.suite)
    accelerators = machine.accelerator()
    path = results.FOLDER / f"{config.machine or machine.default_name(accelerators)}.json"
    results.load(path)  # before hours of work, not after
    for i, suite in enumerate(suites, 1):
        print(f"{suite} ({i} of {len(suites)})", flush=True)
        began, provenance = time.monotonic(), machine.provenance()

        def store(part: dict, suite=suite, began=began, provenance=provenance) -> tuple[dict, bool]:
            seconds = round(time.monotonic() - began)
            part = {"short": config.short, "seconds": seconds, "provenance": provenance} | part
            return part, results.store(path, machine.hardware(accelerators), suite, part)

        plan = Plan(SHORT_ROUNDS if config.short else config.rounds, config.short, config.budget, store)
        part, stored = store(importlib.import_module(f"experiments.benchmark.suites.{suite}").run(plan))
        told = f"stored in {shown(path)}" if stored else f"not stored: {shown(path)} holds a full run"
        print(tables.TABLES[suite](part) + f"\n{suite}: {part['seconds']} s, {told}\n", flush=True)


def chosen(words: tuple[str, ...]) -> list[str]:
    """The suites that the words name. Raises: UserError for a package that a suite lacks."""
    suites = [suite for suite in SUITES if suite in words or ("all" in words and suite in ALL)]
    for suite in suites:
        needs = importlib.import_module(f"experiments.benchmark.suites.{suite}").NEEDS
        lacking = [package for package in needs if importlib.util.find_spec(package) is None]
        if lacking:
            raise cli.UserError(f"the suite {suite} needs {', '.join(lacking)} (the `bench` extra): run `make bench`")
    return suites


def shown(path: Path) -> Path:
    """The path as seen from the checkout."""
    return path.relative_to(results.ROOT)


if __name__ == "__main__":
    cli.main(Config, run)
