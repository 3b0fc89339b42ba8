"""What an accelerator makes of ddjax and of torch, within a budget of seconds: rows in order of value."""

import tempfile
from pathlib import Path
from typing import Any

from experiments.benchmark import budget, images, tables, toy
from experiments.benchmark.budget import Case
from experiments.benchmark.suites import Plan

NEEDS = ()  # what a row lacks is told, and the row left out
ROUNDS = 20


def run(plan: Plan) -> dict[str, Any]:
    """Rows of `budget.measured`; a line on the terminal for each, and the part kept after each."""
    part: dict[str, Any] = {}
    shown = 0
    with tempfile.TemporaryDirectory() as folder:
        for part in budget.measured(cases(plan.short, Path(folder)), 2 if plan.short else ROUNDS, plan.budget):
            for row in part["rows"][shown:]:
                print(f"  {tables.told(row)}", flush=True)
            shown = len(part["rows"])
            plan.keep(part)
    return part


def cases(short: bool, folder: Path) -> list[Case]:
    """Sides of the same group read the same weights, which the first of them writes."""
    size, batch = ("tiny", 4) if short else ("cifar10", 256)

    def image(name: str, side: str, most: float, **settings: Any) -> Case:
        module = "torch_image_steps" if "torch" in side else "ddjax_images"
        given = {
            "name": name,
            "size": size,
            "batch": batch,
            "bf16": True,
            "rough": True,
            "weights": str(folder / f"{name}.npz"),
        }
        drawn = f" of {images.POPULATION} draws" if "inject" in settings else ""
        group = f"{name} step{drawn}, batch {batch}, bf16"
        return Case(group, side, module, given | settings, most, ("torch",) if "torch" in side else ())

    def mlp(side: str, most: float) -> Case:
        module, settings = (toy.TORCH | toy.DDJAX)[side]
        work = {"trainings": [[toy.BATCH, toy.POPULATION]]}
        return Case("toy step, float32", side, module, settings | work, most, ("torch",) if "torch" in side else ())

    n, dims = (200, 16) if short else (10_000, 128)
    distance = f"Sinkhorn divergence and gradient, {n:,} x {n:,} in {dims}-d"
    sizes = {"sizes": {f"n = {n}, d = {dims}": [n, dims]}}
    sampling = {"steps": 4, "size": size, "bf16": True}
    coupling = "flow-matching step, coupled batch of 256"
    return [
        image("dit", "ddjax", 60),
        image("dit", "torch.compile", 75, compiled=True),
        image("dit", "torch eager", 30),
        image("unet", "ddjax", 75),
        image("unet", "torch eager", 30),
        image("dit", "ddjax, xi early", 45, inject=0),
        image("dit", "ddjax, xi late", 45, inject=-1),
        mlp("ddjax, xi early", 45),
        mlp("torch eager", 25),
        Case("sampling, MLP", "ddjax", "ddjax_sampling", sampling | {"name": "mlp", "n": 10_000}, 30),
        Case("sampling, dit, bf16", "ddjax", "ddjax_sampling", sampling | {"name": "dit", "n": batch}, 45),
        Case(distance, "ddjax", "ddjax_distances", {"method": "sinkhorn gradient"} | sizes, 45),
        Case(coupling, "ddjax, Sinkhorn permutation", "ddjax_flow", {"coupling": "sinkhorn"}, 30),
        Case(
            distance, "geomloss", "other_distances", {"method": "geomloss gradient"} | sizes, 45, ("torch", "geomloss")
        ),
        Case(
            coupling, "torchcfm, exact OT by POT", "torch_flow", {"coupling": "exact"}, 30, ("torch", "torchcfm", "ot")
        ),
        image("unet", "torch.compile", 120, compiled=True),
        mlp("torch.compile", 75),
        Case(coupling, "ddjax, exact assignment", "ddjax_flow", {"coupling": "assignment"}, 30),
    ]
