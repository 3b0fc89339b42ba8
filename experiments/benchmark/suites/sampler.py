"""Sampling with the exact bridge: against the number of steps, and against the number of samples."""

from typing import Any

from experiments.benchmark import toy, turns
from experiments.benchmark.suites import Plan

NEEDS = ("torch",)
SIDES = ("torch eager", "torch.compile", "ddjax, xi early", "ddjax, xi at layer 1")
STEPS = (1, 4, 20)
NFE = 4  # of the curve over n


def run(plan: Plan) -> dict[str, Any]:
    """Rows whose work is `sample N STEPS`, with networks as they were initialised: time does not depend on the weights."""
    ns = (1_000, 10_000) if plan.short else (1_000, 10_000, 100_000, 1_000_000)
    draws = sorted({(toy.SAMPLES, nfe) for nfe in STEPS} | {(n, NFE) for n in ns})
    sides = {name: (toy.TORCH | toy.DDJAX)[name] for name in SIDES}
    sides = {name: (module, settings | {"draws": draws}) for name, (module, settings) in sides.items()}
    return turns.measured(sides, plan.rounds, bases=("torch eager", "torch.compile"))
