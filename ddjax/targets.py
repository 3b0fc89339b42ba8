"""Targets with a known truth."""

import numpy as np

from ddjax.mixtures import GaussianMixture


def two_gaussians() -> GaussianMixture:
    """The paper's target: 1/2 N((3, 3), I/4) + 1/2 N((-3, 3), I/4) (arXiv 2502.02483, section 5.1)."""
    means = np.array([[3.0, 3.0], [-3.0, 3.0]])
    return GaussianMixture(np.array([0.5, 0.5]), means, np.stack([0.25 * np.eye(2)] * 2))


def skewed() -> GaussianMixture:
    """Three unequal, tilted components in 3-D: nothing about it is symmetric, so no sign error can hide."""
    factors = np.array(
        [
            [[0.8, 0.0, 0.0], [0.3, 0.4, 0.0], [-0.2, 0.1, 0.5]],
            [[0.3, 0.0, 0.0], [0.1, 0.9, 0.0], [0.2, -0.3, 0.4]],
            [[0.6, 0.0, 0.0], [-0.5, 0.3, 0.0], [0.1, 0.4, 0.7]],
        ]
    )
    means = np.array([[2.0, 0.0, 1.0], [-1.0, 1.5, 0.0], [0.5, -2.5, -1.0]])
    return GaussianMixture(np.array([0.6, 0.3, 0.1]), means, factors @ factors.swapaxes(1, 2))
