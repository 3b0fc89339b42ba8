"""What a rule takes norms over, and how it averages the rest.

With the squares s_i = (xhat - x_0)_i^2 of one event,

    (1)  r_g^2 = sum_{i in g} s_i                      over the elements i of each group g
    (2)  rho = sum_g a_g rho(r_g) / sum_g a_g          with areas a_g >= 0, all 1 unless given

The whole "event" is one group, or there is one for each "position" (all axes but the last), "element", or window of an image
(`Windows`). Each term of (2) is a proper rule of its group, and so is their mean with any areas.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real, Shaped

from ddjax.inputs import checked_array, checked_count
from ddjax.scoring.kernels import Kernel
from ddjax.types import known, precise

Groups = Callable[[Array], Array]  # squares [n, *event] -> squared distances [n, *groups]
Scope = Literal["event", "position", "element"] | Groups
Area = Shaped[Array | np.ndarray, "..."]


@dataclass(frozen=True)
class Windows:
    """The scope of all size x size windows of an image: r_p^2 sums (xhat - x_0)^2 over window p and all channels.

    The squared distance of two patches is a box sum of the squared differences of pixels, so that no patch is built: sums of
    `size` rows, then of `size` columns, which round like any short sum (differences of running totals would lose digits).

    Args:
        size: side of a window, in pixels. wrap: axes that are periodic, 0 the height and 1 the width (longitude): along
            these a window begins at every place, and goes on from the first after the last.
    Raises: ValueError for a size below 1 or another axis; when called, for what is no image of at least size x size.

    >>> Windows(2)(jnp.arange(6.0).reshape(1, 2, 3, 1)).tolist()  # 0 + 1 + 3 + 4, 1 + 2 + 4 + 5
    [[[8.0, 12.0]]]
    """

    size: int = 3
    wrap: tuple[int, ...] = ()

    def __post_init__(self):
        checked_count(self.size, "size")
        if not set(self.wrap) <= {0, 1}:
            raise ValueError(f"wrap names periodic axes of an image, 0 its height and 1 its width, got {self.wrap}")

    def __call__(self, squares: Real[Array | np.ndarray, "n height width channels"]) -> Float[Array, "n rows columns"]:
        """Squared distances of all windows, row by row."""
        sums = jnp.sum(self.closed(precise(squares)), -1)
        for box in ((1, self.size, 1), (1, 1, self.size)):
            sums = jax.lax.reduce_window(sums, sums.dtype.type(0), jax.lax.add, box, (1, 1, 1), "VALID")
        return sums

    def closed(
        self, images: Real[Array | np.ndarray, "n height width channels"]
    ) -> Real[Array, "n longer wider channels"]:
        """The images, followed along what wraps by their first size - 1 rows or columns."""
        images = checked_array(images, "images [n, height, width, channels]")
        if images.ndim != 4 or min(images.shape[1:3]) < self.size:
            size = f"{self.size} x {self.size}"
            raise ValueError(f"need images [height, width, channels] of at least {size}, got events {images.shape[1:]}")
        return jnp.pad(images, [(0, (self.size - 1) * (axis - 1 in self.wrap)) for axis in range(4)], mode="wrap")


def rho_of_differences(
    kernel: Kernel, scope: Scope, area: Area | None, event: tuple[int, ...]
) -> Callable[[Array], Array]:
    """Differences [n, *event] -> rho [n], eq. (2). Raises: ValueError for an unknown scope or an area that does not fit."""
    groups = scope if callable(scope) else _sums(scope, len(event))
    areas = None if area is None else _areas(area, scope, event)

    def rho(differences: Array) -> Array:
        distances = groups(differences**2)
        if distances.shape[:1] != differences.shape[:1]:
            raise ValueError(f"a scope keeps the first axis, got {distances.shape=} for {differences.shape=}")
        of_groups, others = kernel.rho(distances), tuple(range(1, distances.ndim))
        if areas is None:
            return jnp.mean(of_groups, others)
        a = areas.astype(of_groups.dtype)
        return jnp.sum(of_groups * a[None], others) / jnp.sum(a)

    return rho


def _sums(scope: str, rank: int) -> Groups:
    first = {"event": 1, "position": max(rank, 1), "element": rank + 1}
    if scope not in first:
        raise ValueError(f"scope must be one of {sorted(first)} or a function, got {scope!r}")
    return lambda squares: jnp.sum(squares, tuple(range(first[scope], rank + 1)), keepdims=True)


def _areas(area: Area, scope: Scope, event: tuple[int, ...]) -> Array:
    check_area(area, scope)
    wanted = (*event[:-1], 1) if scope == "position" and event else event
    check_fits("area", area, wanted)
    return jnp.broadcast_to(precise(area), wanted)


def check_fits(name: str, array: Area, shape: tuple[int, ...]) -> None:
    """Raises: ValueError for an array that is not of this shape, or of 1 where it is the same for all."""
    if len(array.shape) != len(shape) or any(a not in (1, n) for a, n in zip(array.shape, shape, strict=True)):
        raise ValueError(
            f"{name} must be of shape {shape}, 1 where the same for all, got {name} of shape {array.shape}"
        )


def check_area(area: Area | None, scope: Scope) -> None:
    """Raises: ValueError for an area where nothing is averaged, one that is negative or not finite, or 0 everywhere."""
    if area is None:
        return
    if scope not in ("position", "element"):
        raise ValueError(f'area weighs what is averaged, which needs scope "position" or "element", got {scope=}')
    if known(area) and not (np.isfinite(area).all() and np.min(area) >= 0 and np.max(area) > 0):
        raise ValueError("area must be finite and not negative, and somewhere positive")


def left_out(values: Array, area: Area | None) -> Array:
    """Values [*n, *event] with 0 where the area is 0, whatever stands there: NaN too, which reaches no gradient either."""
    if area is None:
        return values
    return jnp.where(jnp.expand_dims(precise(area) == 0, tuple(range(values.ndim - area.ndim))), 0, values)
