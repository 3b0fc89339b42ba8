"""The torch side of the image work."""

from typing import Any

import torch

from experiments.benchmark import images, torch_images, torch_side
from experiments.benchmark.side import Side, Work
from experiments.benchmark.torch_side import DEVICE


def make(
    name: str,
    weights: str,
    batch: int,
    compiled: bool = False,
    bf16: bool = False,
    size: str = "28 x 28",
    rough: bool = False,
) -> Side:
    """A regression step with the weights of the file; on a GPU, kernels of convolutions with channels last."""
    kind, sizes = {"unet": torch_images.UNet, "dit": torch_images.DiT}[name], images.SIZES[size]
    module = torch_images.copied(kind(sizes["shape"], *sizes[name].values()), images.load_weights(weights)).to(DEVICE)
    if DEVICE.type == "cuda":
        module = module.to(memory_format=torch.channels_last)
    forward: Any = torch_side.compiled(module) if compiled else module
    x, t = (torch.from_numpy(array).to(DEVICE) for array in images.fixed_inputs(size, batch))
    losses: list[Any] = []

    def step() -> None:
        module.zero_grad(set_to_none=True)
        with torch_side.autocast(bf16):
            draws = forward(x, t)
        losses[:] = [((draws.float() - x) ** 2).mean()]
        losses[0].backward()

    def equal() -> dict[str, float | int]:
        numbers = {"batch": batch, "parameters": torch_side.count(module)}
        return numbers | ({"loss": float(losses[0].detach())} if rough or not (compiled or bf16) else {})

    work = {"step": Work(torch_side.synchronised(step))}
    return Side(work, equal, torch_side.device(), torch_side.memory_mb, torch_side.matmul)
