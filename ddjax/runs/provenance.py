"""What a number needs beside it: command, date, hardware, versions, commit."""

import datetime
import os
import platform
import resource
import sys
from typing import Any


def provenance() -> dict[str, Any]:
    """What a number needs beside it: command, date, hardware, versions."""
    import jax

    return {
        "command": " ".join(["python -m", sys.modules["__main__"].__spec__.name, *sys.argv[1:]])
        if getattr(sys.modules["__main__"], "__spec__", None)
        else " ".join(sys.argv),
        "date": datetime.date.today().isoformat(),
        "device": f"{jax.devices()[0].device_kind} x {jax.device_count()}",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "platform": platform.platform(terse=True),
        "python": platform.python_version(),
        "jax": jax.__version__,
    }


def peak_memory_gb() -> float:
    """Peak resident memory of this process so far, in GB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e9 if sys.platform == "darwin" else peak * 1024 / 1e9
