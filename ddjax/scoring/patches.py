"""A scoring rule of images that also looks at every small patch.

    (1)  score(xhat, x_0) = rule(xhat, x_0) + mean_p rule(xhat[p], x_0[p]),   p over all size x size windows

A sum of proper rules is proper, strictly so where its first term is. A distance over the whole image adds up what happens
everywhere, so a spread that is wrong in one place hardly moves its rule; it does move that of the patches there.
References: Pacchiardi et al., arXiv 2112.08217, score spatial forecasts by patches. The equal weights are ours.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Real

from ddjax.scoring.rules import Rule, Terms, needs_pairs
from ddjax.types import Scalar


@dataclass(frozen=True)
class Patched:
    """Eq. (1) as a rule of its own: `Patched(scoring.Energy(0.1), size=3)`, for draws [m, height, width, channels].

    Raises: ValueError for a size below 1; when called, for events that are not images or are smaller than a patch.
    """

    rule: Rule
    size: int = 3

    def __post_init__(self):
        if self.size < 1:
            raise ValueError(f"a patch has at least 1 pixel along its side, got size={self.size}")

    @property
    def pairs(self) -> bool:
        """Whether two draws are needed: as the rule does."""
        return needs_pairs(self.rule)

    def __call__(
        self,
        samples: Real[Array | np.ndarray, "m height width channels"],
        observation: Real[Array | np.ndarray, "height width channels"],
        t: Scalar = 0.0,
    ) -> Terms:
        """Terms of one example at time t: sums of those of the whole and the means of those of the patches."""
        whole = self.rule(samples, observation, t)
        each = jax.vmap(lambda samples, observation: self.rule(samples, observation, t), in_axes=(1, 0))
        of_patches = each(windows(samples, self.size), windows(observation, self.size))
        return jax.tree.map(lambda whole, patches: whole + jnp.mean(patches), whole, of_patches)


def windows(
    images: Real[Array | np.ndarray, "*n height width channels"], size: int
) -> Real[Array, "*n patches values"]:
    """All size x size windows, overlapping, row by row; each as the vector of its values.

    Raises: ValueError for what is not an image of at least size x size pixels.
    """
    if images.ndim < 3 or min(images.shape[-3:-1]) < size:
        raise ValueError(f"need images [..., height, width, channels] of at least {size} x {size}, got {images.shape=}")
    *n, height, width, channels = images.shape
    rows, columns = height - size + 1, width - size + 1
    shifted = [images[..., i : i + rows, j : j + columns, :] for i in range(size) for j in range(size)]
    return jnp.stack(shifted, -2).reshape(*n, rows * columns, size * size * channels)
