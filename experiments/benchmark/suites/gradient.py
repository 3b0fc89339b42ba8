"""A transport loss at the size of a test set: the Sinkhorn divergence with its gradient, beside geomloss, which takes minutes."""

from typing import Any

from experiments.benchmark import turns
from experiments.benchmark.suites import Plan

NEEDS = ("torch", "geomloss")
SIDES = {
    "geomloss, scaling .99": ("other_distances", {"method": "geomloss gradient"}),
    "ddjax, sinkhorn_blocked": ("ddjax_distances", {"method": "sinkhorn gradient"}),
}
SAME = 1e-3  # values agree to this share


def run(plan: Plan) -> dict[str, Any]:
    """One size."""
    n, d = (200, 16) if plan.short else (10_000, 128)
    sizes = {"sizes": {f"n = {n:,}, d = {d}": [n, d]}}
    sides = {name: (module, own | sizes) for name, (module, own) in SIDES.items()}
    return turns.measured(sides, plan.rounds, bases=("geomloss, scaling .99",), tolerance=SAME, relative=True)
