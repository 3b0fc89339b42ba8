"""What a number needs beside it: command, date, hardware, versions, commit."""

import datetime
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import ddjax


def provenance() -> dict[str, Any]:
    """What a number needs beside it: command, date, hardware, versions, and the commit where the package lies in a checkout."""
    import jax

    told = commit()
    return {
        "command": command(),
        "date": datetime.date.today().isoformat(),
        "device": f"{jax.devices()[0].device_kind} x {jax.device_count()}",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "platform": platform.platform(terse=True),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "ddjax": ddjax.__version__,
        **({"commit": told} if told else {}),
    }


def command() -> str:
    """The words that started this process: `python -m MODULE ...`, `python FILE.py ...`, or an installed script by its name."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    file = Path(sys.argv[0])
    if spec is not None:
        program = ["python", "-m", spec.name.removesuffix(".__main__")]
    else:
        program = ["python", sys.argv[0]] if file.suffix == ".py" else [file.name]
    return shlex.join([*program, *sys.argv[1:]])


def commit() -> str | None:
    """The short hash that the package's checkout is at, with +changes where tracked files differ from it.

    None for an installed package, and where git is missing or does not answer.
    """
    root = Path(ddjax.__file__).parents[1]
    if not (root / ".git").exists():  # of a folder above, which may hold the environment, the hash would tell nothing
        return None
    asked = ["git", "-C", str(root), "describe", "--always", "--exclude=*", "--dirty=+changes"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def peak_memory_gb() -> float:
    """Peak resident memory of this process so far, in GB."""
    from ddjax.training import memory  # which imports jax

    return memory.resident_gb()
