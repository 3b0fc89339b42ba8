"""Training and sampling of the two-Gaussians work, and how long a start takes."""

import tempfile
from pathlib import Path
from typing import Any

from experiments.benchmark import toy, turns
from experiments.benchmark.suites import Plan

NEEDS = ("torch",)
BASES = ("torch eager", "torch.compile")
STARTS = {
    "torch.compile": ("torch_toy", {"compiled": True}),
    "ddjax, xi early": ("ddjax_toy", {"inject": 0}),
    "ddjax, xi at layer 1": ("ddjax_toy", {"inject": 1}),
}


def run(plan: Plan) -> dict[str, Any]:
    """Rows of the race, and seconds of first and second starts."""
    work = {"trainings": [[toy.BATCH, toy.POPULATION]], "draws": [[toy.SAMPLES, toy.SAMPLING_STEPS]]}
    sides = {name: (module, settings | work) for name, (module, settings) in (toy.TORCH | toy.DDJAX).items()}
    starts = [start(name, *side) for name, side in STARTS.items()]
    return turns.measured(sides, plan.rounds, bases=BASES, with_peak=True) | {"starts": starts}


def start(name: str, module: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Seconds from process start to the end of the first training step, with an empty compilation cache, then a warm one."""
    settings = settings | {"trainings": [[toy.BATCH, toy.POPULATION]], "steps": 1}
    seconds = []
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(2):
            process = turns.Process(name, module, settings, Path(cache))
            seconds.append(round(process.facts["ready"], 2))
            process.close()
    print(f"  {name}: first start {seconds[0]} s, second start {seconds[1]} s", flush=True)
    return {"side": name, "first_s": seconds[0], "second_s": seconds[1]}
