"""Linear measurements of an image, y = A x_0 + N(0, noise^2 I), as matrices on its pixels in a row.

(1)  inpainting         A takes the pixels that are seen
(2)  deblurring         A is a Gaussian blur of 1 pixel, each row normalised at the border
(3)  super-resolution   A takes the mean of every 2 x 2 pixels
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ddjax.types import Key

PROBLEMS = ("inpainting", "deblurring", "super-resolution")
BLUR = 1.0  # standard deviation, in pixels


@dataclass(frozen=True, eq=False)
class Measurement:
    """A [m, d], the standard deviation of the noise, the shape [h, w, c] of images, and which pixels [d] are hidden.

    Those are the pixels that the measurement does not give directly: those that are not seen, or all of them.
    """

    name: str
    matrix: np.ndarray
    noise: float
    shape: tuple[int, int, int]
    hidden: np.ndarray

    def clean(self, x: Array) -> Array:
        """A x of images [..., h, w, c]: [..., m]."""
        return jnp.matmul(x.reshape(*x.shape[:-3], -1), jnp.asarray(self.matrix.T, x.dtype), precision="highest")

    def measure(self, key: Key, x: Array) -> Array:
        """y of images, with noise."""
        y = self.clean(x)
        return y + self.noise * jax.random.normal(key, y.shape, y.dtype)

    def log_likelihood(self, x_0: Array, y: Array) -> Array:
        """Of one image, up to a constant."""
        return -jnp.sum((y - self.clean(x_0)) ** 2) / (2 * self.noise**2)

    def misfit(self, x: Array, y: Array) -> Array:
        """|y - A x|^2 / (m noise^2) of images: 1 on average for the truth, and so for draws of p(x_0 | y)."""
        return jnp.mean((y - self.clean(x)) ** 2, -1) / self.noise**2

    def shown(self, y: np.ndarray) -> np.ndarray:
        """Measurements as images: what is not seen is black."""
        h, w, c = self.shape
        if self.name == "super-resolution":
            return y.reshape(-1, h // 2, w // 2, c).repeat(2, 1).repeat(2, 2)
        placed = np.where(self.hidden, -1.0, 0.0) + y @ self.matrix if self.name == "inpainting" else y
        return placed.reshape(-1, *self.shape)


def measurement(name: str, shape: tuple[int, int, int], noise: float) -> Measurement:
    """One of the three, of images of that shape. Raises: ValueError for another name."""
    makers = {"inpainting": inpainting, "deblurring": deblurring, "super-resolution": super_resolution}
    if name not in makers:
        raise ValueError(f"a measurement is one of {', '.join(makers)}, got {name!r}")
    matrix = makers[name](*shape)
    hidden = ~matrix.any(0) if name == "inpainting" else np.ones(matrix.shape[1], bool)
    return Measurement(name, matrix, noise, shape, hidden)


def inpainting(h: int, w: int, c: int) -> np.ndarray:
    """Eq. (1): the upper half is seen."""
    return np.eye(h * w * c)[: (h // 2) * w * c]


def deblurring(h: int, w: int, c: int) -> np.ndarray:
    """Eq. (2)."""
    return np.kron(np.kron(_blur(h), _blur(w)), np.eye(c))


def super_resolution(h: int, w: int, c: int) -> np.ndarray:
    """Eq. (3); sides are even."""
    pair = lambda n: np.kron(np.eye(n // 2), np.full((1, 2), 0.5))  # noqa: E731
    return np.kron(np.kron(pair(h), pair(w)), np.eye(c))


def _blur(n: int) -> np.ndarray:
    weights = np.exp(-((np.arange(n)[:, None] - np.arange(n)) ** 2) / (2 * BLUR**2))
    return weights / weights.sum(1, keepdims=True)
