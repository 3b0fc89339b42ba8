"""What a number depends on beside the code: hardware and versions, without the name of the host."""

import datetime
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

SPEED = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "XLA_FLAGS", "CUDA_VISIBLE_DEVICES")
PACKAGES = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "ott-jax",
    "torch",
    "POT",
    "geomloss",
    "torchcfm",
    "scoringrules",
    "numpy",
)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def accelerator() -> str | None:
    """The kind and number of accelerators that jax sees, asked in a process of its own; None for a CPU alone."""
    code = "import jax; d = jax.devices(); print('' if d[0].platform == 'cpu' else f'{d[0].device_kind} x {len(d)}')"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def default_name(accelerators: str | None) -> str:
    """A name from the hardware: `cpu-2-cores`, `nvidia-h100-80gb-hbm3-x-1`."""
    words = accelerators or f"cpu {cores()} cores"
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def hardware(accelerators: str | None) -> dict[str, Any]:
    """CPU, cores, memory, accelerators."""
    return {"cpu": _cpu(), "cores": cores(), "memory_gb": _memory_gb(), "accelerator": accelerators}


def _cpu() -> str:
    file = Path("/proc/cpuinfo")
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.M)
    wide = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if re.search(rf"\b{flag}\b", text)]
    return " ".join([found.group(1) if found else platform.machine(), *([f"({', '.join(wide)})"] if wide else [])])


def _memory_gb() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def versions() -> dict[str, str]:
    """Of Python and of every package that is measured, where installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def provenance() -> dict[str, Any]:
    """Command with what of the environment changes speed, date, load of the machine at the start, versions."""
    given = [f"{name}={os.environ[name]}" for name in SPEED if name in os.environ]
    command = " ".join([*given, "python -m experiments.benchmark", *sys.argv[1:]])
    load = round(os.getloadavg()[0], 1)
    return {"command": command, "date": datetime.date.today().isoformat(), "load": load, "versions": versions()}
