"""A training step against batch and population: what grows, and what a larger batch hides."""

from typing import Any

from experiments.benchmark import toy, turns
from experiments.benchmark.suites import Plan

NEEDS = ("torch",)
SIDES = ("torch eager", "torch.compile", "ddjax, xi early", "ddjax, xi at layer 1")


def run(plan: Plan) -> dict[str, Any]:
    """Rows whose work is `train BATCH POPULATION`."""
    batches = (64, 512, 1024) if plan.short else (64, 256, 1024, 4096, 16384)
    populations = (2, 8) if plan.short else (2, 4, 8, 16, 32)
    trainings = sorted({(batch, toy.POPULATION) for batch in batches} | {(toy.BATCH, size) for size in populations})
    sides = {name: (toy.TORCH | toy.DDJAX)[name] for name in SIDES}
    sides = {name: (module, settings | {"trainings": trainings}) for name, (module, settings) in sides.items()}
    return turns.measured(sides, max(1, plan.rounds // 2), bases=("torch eager", "torch.compile"))
