"""What every torch side shares: device, synchronisation, memory, matmul."""

import contextlib
from collections.abc import Callable
from typing import Any

import torch

from ddjax import runs

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
if DEVICE.type == "cuda":
    torch.set_float32_matmul_precision("high")  # TF32, as XLA's default on GPUs


def compiled(call: Callable[..., Any]) -> Callable[..., Any]:
    """torch.compile, a program for each shape: a scaling curve has more of them than torch's own limit."""
    torch._dynamo.config.recompile_limit = 64  # touched here alone: it imports the compiler
    return torch.compile(call, dynamic=False)


def synchronised(call: Callable[[], Any]) -> Callable[[], None]:
    """The call, returning when the device is done."""

    def run() -> None:
        call()
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()

    return run


def device() -> str:
    """ "cpu", or a GPU's name."""
    return "cpu" if DEVICE.type == "cpu" else torch.cuda.get_device_name()


def memory_mb() -> float:
    """Peak memory: of the process on a CPU, of the device on a GPU."""
    return 1e3 * runs.peak_memory_gb() if DEVICE.type == "cpu" else torch.cuda.max_memory_allocated() / 1e6


def matmul(size: int) -> Callable[[], Any]:
    """A product of two square float32 matrices."""
    a, b = torch.randn(2, size, size, device=DEVICE)
    return synchronised(lambda: a @ b)


def autocast(bf16: bool) -> contextlib.AbstractContextManager:
    """bfloat16 where torch thinks it safe, or nothing."""
    return torch.autocast(DEVICE.type, torch.bfloat16) if bf16 else contextlib.nullcontext()


def count(module: torch.nn.Module) -> int:
    """Number of trained numbers."""
    return sum(p.numel() for p in module.parameters())
