"""Optimal transport: coupled training steps beside torchcfm, Sinkhorn divergences and exact W_2 beside geomloss and POT."""

from typing import Any

from experiments.benchmark import turns
from experiments.benchmark.suites import Plan

NEEDS = ("torch", "ot", "geomloss", "torchcfm")
COUPLED = {
    "torchcfm, independent": ("torch_flow", {"coupling": "independent"}),
    "torchcfm, independent, torch.compile": ("torch_flow", {"coupling": "independent", "compiled": True}),
    "torchcfm, exact OT by POT": ("torch_flow", {"coupling": "exact"}),
    "torchcfm, exact OT by POT, torch.compile": ("torch_flow", {"coupling": "exact", "compiled": True}),
    "ddjax, independent": ("ddjax_flow", {"coupling": "independent"}),
    "ddjax, Sinkhorn permutation": ("ddjax_flow", {"coupling": "sinkhorn"}),
    "ddjax, exact assignment": ("ddjax_flow", {"coupling": "assignment"}),
}
SINKHORN = {
    "geomloss, scaling .99": ("other_distances", {"method": "geomloss"}),
    "POT, sinkhorn_log": ("other_distances", {"method": "POT sinkhorn"}),
    "ddjax, sinkhorn_divergence (ott-jax)": ("ddjax_distances", {"method": "sinkhorn"}),
    "ddjax, sinkhorn_blocked": ("ddjax_distances", {"method": "sinkhorn blocked"}),
}
EXACT = {
    "POT, emd2": ("other_distances", {"method": "POT exact"}),
    "ddjax, wasserstein": ("ddjax_distances", {"method": "exact"}),
}
SAME = 1e-3  # values agree to this share


def run(plan: Plan) -> dict[str, Any]:
    """Three races."""
    n, n_sinkhorn = (200, 200) if plan.short else (1_000, 400)  # POT's Sinkhorn takes minutes for 1,000
    coupled = turns.measured(COUPLED, plan.rounds, bases=("torchcfm, exact OT by POT", "ddjax, independent"))
    few = max(1, plan.rounds // 2)
    sinkhorn = turns.measured(
        _sized(SINKHORN, n_sinkhorn), few, bases=("geomloss, scaling .99",), tolerance=SAME, relative=True
    )
    exact = turns.measured(_sized(EXACT, n), few, bases=("POT, emd2",), tolerance=SAME, relative=True)
    return {"coupling": coupled, "sinkhorn": sinkhorn, "exact": exact, "device": coupled["device"]}


def _sized(sides: turns.Sides, n: int) -> turns.Sides:
    sizes = {f"n = {n}, d = {d}": [n, d] for d in (2, 16)}
    return {name: (module, own | {"sizes": sizes}) for name, (module, own) in sides.items()}
