"""Linear maps of one event, for `Sum`: what a rule should look at besides the values themselves.

    (A)  scaled              (L x)_i = w_i x_i
    (B)  pooling             (L x)_b = mean_{i in b} x_i              over size x size blocks b
    (C)  finite differences  (L x)_i = x_{i + 1} - x_i                along one axis
    (D)  spectrum            L x = U x, U orthogonal                  the real Fourier transform

Those of numbers alone are remembered, pooling(2) is pooling(2), so that rules which hold them can be equal.
"""

from collections.abc import Callable
from functools import cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real, Shaped

from ddjax.inputs import checked_array, checked_count
from ddjax.scoring.scopes import check_fits, left_out
from ddjax.types import known, precise

Map = Callable[[Array], Array]  # one event -> an array
Event = Real[Array | np.ndarray, "*event"]
Image = Real[Array | np.ndarray, "height width channels"]


def scaled(weights: Shaped[Array | np.ndarray, "..."]) -> Map:
    """(A), weights inside the norm: ||w (xhat - x_0)||, for instance one over the spread of each channel, [1, 1, channels].

    Where a weight is 0 whatever stands there is left out, a missing value too (an `area` weighs outside the norm).

    Args:
        weights: of the event's shape, 1 where they are the same for all.
    Raises: ValueError for weights that are not finite, or all 0; the map, for those that do not fit the event.

    >>> scaled(jnp.array([2.0, 0.0]))(jnp.array([3.0, jnp.nan])).tolist()
    [6.0, 0.0]
    """
    weights = checked_array(weights, "weights of the event's shape")
    if known(weights) and not (np.isfinite(weights).all() and np.any(weights)):
        raise ValueError("weights of a scaled event must be finite and somewhere not 0")

    def scaled_event(event: Event) -> Float[Array, "*event"]:
        event = precise(event)
        check_fits("weights", weights, event.shape)
        return left_out(event, weights) * precise(weights).astype(event.dtype)

    return scaled_event


def pooling(size: int) -> Map:
    """(B), means over the blocks that tile an image [height, width, channels]: what it is at a coarser scale.

    Raises: ValueError for a size below 1; the map, for what is no image or is not tiled.

    >>> pooling(2)(jnp.arange(8.0).reshape(2, 4, 1)).tolist()  # (0 + 1 + 4 + 5) / 4
    [[[2.5], [4.5]]]
    """
    return _pooling(checked_count(size, "size"))


@cache
def _pooling(size: int) -> Map:
    def pooled(image: Image) -> Float[Array, "rows columns channels"]:
        image = precise(image)
        height, width, channels = _image(image)
        if height % size or width % size:
            raise ValueError(f"blocks of {size} x {size} must tile the image, got {height} x {width}")
        blocks = image.reshape(height // size, size, width // size, size, channels)
        return jnp.mean(blocks, (1, 3))

    return pooled


@cache
def finite_differences(axis: int, *, wrap: bool = False) -> Map:
    """(C) along an axis of the event; with wrap the last place is followed by the first, as longitude goes round.

    Raises: the map, ValueError for an axis that the event does not have, or of a single place.

    >>> finite_differences(0, wrap=True)(jnp.array([1.0, 4.0, 9.0])).tolist()
    [3.0, 5.0, -8.0]
    """

    def differences(event: Event) -> Float[Array, "*shorter"]:
        event = precise(event)
        if not -event.ndim <= axis < event.ndim or event.shape[axis] < 2:
            raise ValueError(f"differences along axis {axis} need two places there, got {event.shape=}")
        return jnp.roll(event, -1, axis) - event if wrap else jnp.diff(event, axis=axis)

    return differences


def spectrum(image: Image) -> Float[Array, "height half parts"]:
    """(D) of an image, as an image of wavenumbers [height, width // 2 + 1, 2 channels]: real, then imaginary parts.

    Columns that stand for their conjugates too are multiplied by the root of 2, so that ||U x|| = ||x|| (Parseval). The
    energy rule of the whole is so that of the field itself: take `by_position`, a norm for each wavenumber.

    Raises: ValueError for what is no image [height, width, channels].
    """
    image = precise(image)
    _, width, _ = _image(image)
    waves = jnp.fft.rfft2(image, axes=(0, 1), norm="ortho")
    column = np.arange(width // 2 + 1)[None, :, None]
    twice = (column > 0) & (2 * column < width)
    parts = jnp.concatenate([waves.real, waves.imag], -1)
    return parts * jnp.asarray(np.where(twice, 2**0.5, 1.0), parts.dtype)


def _image(image: Array) -> tuple[int, int, int]:
    if image.ndim != 3:
        raise ValueError(f"need an image [height, width, channels], got an event of shape {image.shape}")
    return image.shape
