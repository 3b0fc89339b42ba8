"""Samples on which every library computes the same distances and scores."""

from collections.abc import Callable
from typing import Any

import numpy as np

BLUR, POWER = 0.3, 2.0
WIDE_BLUR = 4.0  # in 128 dimensions, where neighbours are 13 apart


def samples(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Two samples [n, d] of Gaussians that differ in mean and scale."""
    random = np.random.default_rng(n + d)
    x, y = random.normal(size=(2, n, d))
    return x.astype(np.float32), (0.7 * y + 0.5).astype(np.float32)


def forecasts(n: int, m: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws [n, m, d] and observations [n, d]."""
    random = np.random.default_rng(m)
    return random.normal(size=(n, m, d)).astype(np.float32), random.normal(size=(n, d)).astype(np.float32)


def remembered(
    values: dict[str, Callable[[], Any]],
) -> tuple[dict[str, Callable[[], Any]], Callable[[], dict[str, float]]]:
    """The same calls, and the numbers that each gave last: some take minutes, and are not made once more to be compared."""
    last: dict[str, Any] = {}

    def remember(label: str, value: Callable[[], Any]) -> Any:
        last[label] = value()
        return last[label]

    calls = {label: lambda label=label, value=value: remember(label, value) for label, value in values.items()}
    return calls, lambda: {label: float(value) for label, value in last.items()}
