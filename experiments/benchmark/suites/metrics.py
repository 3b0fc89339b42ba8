"""MMD^2 beside plain torch, and scores beside scoringrules, at equal values."""

from typing import Any

from experiments.benchmark import turns
from experiments.benchmark.suites import Plan

NEEDS = ("torch", "scoringrules")
SAME = 1e-3  # values agree to this share


def run(plan: Plan) -> dict[str, Any]:
    """Three races."""
    n = 1_000 if plan.short else 10_000
    scored = {f"{n // 10} forecasts of {m} draws, d = 2": [n // 10, m, 2] for m in (8, 32)}
    races = {
        "mmd": ("torch, whole matrices", "mmd", {f"n = {n}, d = {d}": [n, d] for d in (2, 16)}),
        "energy": ("scoringrules", "energy", scored),
        "crps": ("scoringrules", "crps", scored),
    }
    part: dict[str, Any] = {}
    for name, (other, method, sizes) in races.items():
        settings = {"method": method, "sizes": sizes}
        sides = {other: ("other_distances", settings), "ddjax": ("ddjax_distances", settings)}
        part[name] = turns.measured(sides, plan.rounds, bases=(other,), tolerance=SAME, relative=True)
    return part | {"device": part["mmd"]["device"]}
