"""A scoring rule of images that also looks at every small patch.

    (A)  score(xhat, x_0) = rule(xhat, x_0) + mean_p rule(xhat[p], x_0[p]),   p over all size x size windows

A sum of proper rules is proper, strictly so where its first term is. A distance over the whole image adds up what happens
everywhere, so a spread that is wrong in one place hardly moves its rule; it does move that of the patches there.
References: Pacchiardi et al., arXiv 2112.08217, score spatial forecasts by patches. The equal weights are ours.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Real

from ddjax.inputs import checked_draws, checked_rule
from ddjax.scoring.rules import KernelRule, Rule, by_groups, needs_pairs
from ddjax.scoring.scopes import Windows, position
from ddjax.scoring.scores import Terms
from ddjax.types import Scalar


@dataclass(frozen=True)
class Patched:
    """(A) as a rule of its own: `Patched(scoring.Energy(0.1), size=3)`, for draws [m, height, width, channels].

    Norms over whole patches are `Windows`, which builds none; any other rule is called with each patch as one vector.

    Args:
        wrap: axes that are periodic, 0 the height and 1 the width: (1,) where longitude goes round.
    Raises: ValueError for a size below 1 or another axis; when called, for events that are not images or are smaller
        than a patch.
    """

    rule: Rule
    size: int = 3
    wrap: tuple[int, ...] = ()

    def __post_init__(self):
        checked_rule(self.rule)
        Windows(self.size, self.wrap)  # which checks both

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
        samples, observation = checked_draws(samples, observation)
        whole = self.rule(samples, observation, t)
        return jax.tree.map(jnp.add, whole, self._of_patches(samples, observation, t))

    def _of_patches(self, samples: Array, observation: Array, t: Scalar) -> Terms:
        rule, windows = self.rule, Windows(self.size, self.wrap)
        if isinstance(rule, KernelRule) and (
            rule.over is None or (rule.over.groups is position and rule.over.area is None)
        ):
            return by_groups(rule, windows)(samples, observation, t)  # a patch is one vector, and so one position
        patches = vectors(samples, windows), vectors(observation[None], windows)[0]
        terms = jax.vmap(lambda samples, observation: rule(samples, observation, t), in_axes=(1, 0))(*patches)
        return jax.tree.map(jnp.mean, terms)


def vectors(
    images: Real[Array | np.ndarray, "n height width channels"], windows: Windows
) -> Real[Array, "n patches values"]:
    """All windows, row by row, each as the vector of its values. Raises: ValueError as `Windows` does."""
    images, size = windows.closed(images), windows.size
    n, height, width, channels = images.shape
    rows, columns = height - size + 1, width - size + 1
    shifted = [images[:, i : i + rows, j : j + columns] for i in range(size) for j in range(size)]
    return jnp.stack(shifted, -2).reshape(n, rows * columns, size * size * channels)
