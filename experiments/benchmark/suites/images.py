"""A regression step of an image net against torch, and what a population costs with xi early and late."""

import tempfile
from pathlib import Path
from typing import Any

from experiments.benchmark import images, turns
from experiments.benchmark.suites import Plan

SIDES = {
    "torch eager": ("torch_image_steps", {}),
    "torch.compile": ("torch_image_steps", {"compiled": True}),
    "torch.compile, bf16": ("torch_image_steps", {"compiled": True, "bf16": True}),
    "ddjax": ("ddjax_images", {}),
    "ddjax, bf16": ("ddjax_images", {"bf16": True}),
    f"ddjax, {images.POPULATION} draws, xi early": ("ddjax_images", {"inject": 0}),
    f"ddjax, {images.POPULATION} draws, xi late": ("ddjax_images", {"inject": -1}),
}


def run(name: str, plan: Plan) -> dict[str, Any]:
    """Rows of the race; FLOPs are those of the products of our plain step, the same for every plain side."""
    from experiments.benchmark import ddjax_images

    batch = 4 if plan.short else images.BATCH
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights.npz"
        images.save_weights(file, ddjax_images.random_weights(ddjax_images.net(name, None)))
        common = {"name": name, "weights": str(file), "batch": batch}
        sides = {
            side: (module, common | settings)
            for side, (module, settings) in SIDES.items()
            if not (plan.short and "compiled" in settings)  # torch.compile takes minutes for a UNet
        }
        part = turns.measured(sides, plan.rounds, bases=("torch eager", "torch.compile", "ddjax"), with_peak=True)
    return part | {"batch": batch}
