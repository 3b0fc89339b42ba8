"""What a training step of the cifar10 presets asks of a machine: memory, and steps a second, predicted for 1 to 64 chips.

The real step, with the preset's loss, optimizer and population, is compiled for simulated devices from shapes alone; nothing
is allocated or run. XLA counts its operations and bytes, and a roofline turns these into time (docs/costs.md).
"""

import json
import os
from dataclasses import dataclass
from typing import Annotated, Literal

from ddjax.cli.settings import FileToWrite, Range
from experiments.benchmark import children


@dataclass(frozen=True)
class Config:
    """Compile the presets' training steps for simulated devices and predict memory and steps a second on real chips.

    Prints the page as markdown, with what was measured on an H100 beside what is predicted of it.

    Example: python -m experiments.costs --chips 1 8
    """

    preset: tuple[Literal["cifar10", "cifar10-dit"], ...] = ("cifar10", "cifar10-dit")
    """Presets of `python -m experiments.images`."""
    chips: tuple[Annotated[int, Range(1, 1024)], ...] = (1, 8, 64)
    """Numbers of chips, which share the batch."""
    utilisation: Annotated[float, Range(0, 1, "(]")] = 0.25
    """Share of the peak that the arithmetic reaches: on an H100 measured."""
    out: FileToWrite | None = None
    """File for the numbers, as JSON."""
    page: FileToWrite | None = None
    """File for the page, as markdown."""


def run(config: Config) -> None:
    """Compile, count, predict, print."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    checked = children.alone(check)  # before there are simulated devices
    os.environ["JAX_NUM_CPU_DEVICES"] = str(max(config.chips))
    from ddjax import runs
    from experiments.benchmark import cost_analysis, cost_page

    numbers = {
        "utilisation": config.utilisation,
        "steps": [row for preset in config.preset for row in cost_analysis.rows(preset, config.chips)],
        "check": checked,
        "provenance": runs.provenance() | {"device": "CPU, simulated devices"},
    }
    page = cost_page.page(numbers)
    if config.out:
        runs.write_atomically(config.out, json.dumps(numbers, indent=2) + "\n")
    if config.page:
        runs.write_atomically(config.page, page)
    print(page, end="")


def check() -> dict[str, float]:
    """The method against this machine, which is to have its true devices."""
    from experiments.benchmark import cost_analysis

    return cost_analysis.check()
