"""Taking turns: what each side of a benchmark is timed with."""

import time
from collections.abc import Callable


def timed(step: Callable[[], object]) -> float:
    """Seconds of one call, after a pause in which the other side's threads stop spinning."""
    time.sleep(0.3)
    began = time.perf_counter()
    step()
    return time.perf_counter() - began
