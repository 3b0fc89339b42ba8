"""Any distance between samples, class by class."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Real

from ddjax.inputs import checked_count, checked_function

Points = Real[Array | np.ndarray, "_ ..."]
Labels = Int[Array | np.ndarray, " _"]


def per_class(
    metric: Callable[[Any, Any], Any],
    real: Points,
    real_labels: Labels,
    fake: Points,
    fake_labels: Labels,
    *,
    classes: int,
) -> list[Any]:
    """`metric(real, fake)` of the points of each class 0, 1, ..., classes - 1.

    Raises: ValueError for labels that are no integers or do not fit their points, a label outside the classes, or a class
        without points in either sample.
    """
    metric, classes = checked_function(metric, "metric", "real", "fake"), checked_count(classes, "classes")
    real_parts = _parts(np.asarray(real), np.asarray(real_labels), classes, "real")
    fake_parts = _parts(np.asarray(fake), np.asarray(fake_labels), classes, "fake")
    return [metric(a, b) for a, b in zip(real_parts, fake_parts, strict=True)]


def _parts(points: np.ndarray, labels: np.ndarray, classes: int, name: str) -> list[Array]:
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{name} labels must be integers, got {labels.dtype=}")
    if labels.shape != points.shape[:1]:
        raise ValueError(f"need one label for each {name} point, got {points.shape=}, {labels.shape=}")
    if ((labels < 0) | (labels >= classes)).any():
        raise ValueError(f"{name} labels must lie in 0..{classes - 1}, got {np.unique(labels)}")
    counts = np.bincount(labels, minlength=classes)
    if not counts.all():
        raise ValueError(f"every class needs {name} points, got counts {counts}")
    return [jnp.asarray(points[labels == label]) for label in range(classes)]
