"""The doors of samples: onto the device, and onto the host. No number gets in that could make a good figure of a broken sample."""

from typing import Any

import numpy as np
from jaxtyping import Array, Float, Real

from ddjax.inputs import checked_array
from ddjax.transport.samples import alike
from ddjax.types import nan_unless_finite

Points = Real[Array | np.ndarray, "_ d"]
Anything = Real[Array | np.ndarray, "..."]

_LARGEST = 1e150  # whose square is still a number


def on_device(x: Anything, y: Anything) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Two samples in one precision, at least float32; what is not finite becomes NaN, and so will the figure."""
    x, y = alike(x, y)
    return nan_unless_finite(x), nan_unless_finite(y)


def on_host(**samples: Points) -> list[Float[np.ndarray, "_ d"]]:
    """Samples [n, d], [m, d], ... by their names, in float64.

    Raises: ValueError for other shapes, or numbers that are not finite or beyond 1e150, saying in which sample.
    """
    arrays = {name: np.asarray(points, np.float64) for name, points in samples.items()}
    shapes = {name: points.shape for name, points in arrays.items()}
    if any(len(shape) != 2 for shape in shapes.values()) or len({shape[1] for shape in shapes.values()}) > 1:
        raise ValueError(f"need samples {' and '.join(shapes)}, each [number, d], of one d, got shapes {shapes}")
    for name, points in arrays.items():
        bad = int((~(np.abs(points) < _LARGEST)).any(1).sum())
        if bad:
            raise ValueError(
                f"need finite numbers, got {bad} of the {len(points)} points in {name} with NaN or infinity"
            )
    return list(arrays.values())


Populations = Real[Array | np.ndarray, "n m *event"]
Observations = Real[Array | np.ndarray, "n *event"]


def checked_populations(samples: Any, observations: Any) -> tuple[Array | np.ndarray, Array | np.ndarray]:
    """Draws and what they foretell as arrays, of whatever shapes. Raises: ValueError for what makes no array."""
    return checked_array(samples, "samples [n, m, *event]"), checked_array(observations, "observations [n, *event]")


def populations(samples: Populations, observations: Observations, *, least: int = 1) -> tuple[Array, Array]:
    """Draws and what they foretell, on the device in one precision of at least float32; NaN where they are not finite.

    Raises: ValueError for shapes that do not fit, no example, or fewer than `least` draws.
    """
    of_draws, of_truth = np.shape(samples), np.shape(observations)
    if len(of_draws) < 2 or of_draws[:1] + of_draws[2:] != of_truth or 0 in of_draws or of_draws[1] < least:
        told = f"got samples of shape {of_draws}, observations of shape {of_truth}"
        raise ValueError(f"need samples [n, m, *event] with m >= {least}, observations [n, *event], {told}")
    return on_device(samples, observations)
