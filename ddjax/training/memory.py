"""What a compiled training step needs of a device's memory, told before it runs, and what has been used so far.

(A)  needed = arguments + temporaries + outputs - those outputs that take the place of donated arguments
"""

import os
import resource
import sys
from typing import Any

import jax


def require(program: Any) -> None:
    """Refuse a compiled program that needs more than this process's devices have, eq. (A).

    Raises: MemoryError with both numbers.
    """
    needed, there = needs(program), has()
    if there is not None and needed > there:
        raise MemoryError(f"a training step needs {needed / 1e9:,.3g} GB of memory, and there are {there / 1e9:,.3g}")


def needs(program: Any) -> int:
    """Bytes that a compiled program (`jax.stages.Compiled`) needs on one device, eq. (A); on a CPU, of all of them together."""
    of = program.memory_analysis()
    if of is None:  # a backend that does not tell
        return 0
    one = of.argument_size_in_bytes + of.temp_size_in_bytes + of.output_size_in_bytes - of.alias_size_in_bytes
    return one * (jax.local_device_count() if jax.default_backend() == "cpu" else 1)


def has() -> int | None:
    """Bytes that a program may use: what was set aside on the device, on a CPU the machine's own; None where none is told."""
    if jax.default_backend() == "cpu":
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")


def peak_gb() -> float:
    """The most that has been used so far, in GB: on the first device where it counts, else by this process."""
    stats = jax.local_devices()[0].memory_stats() or {}
    used = stats.get("peak_bytes_in_use")
    return resident_gb() if used is None else used / 1e9


def resident_gb() -> float:
    """Peak resident memory of this process so far, in GB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e9 if sys.platform == "darwin" else peak * 1024 / 1e9
