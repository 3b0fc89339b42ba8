"""Loss and bridge of the public torch reimplementation, written from their equations: what docs/traps.md calls "there".

Three things differ from the right ones: the pair sum is divided by m (m - 1) and by m - 1 again, the batch mean of w(t)
multiplies the batch mean of the loss, and the x_0 coefficient has alpha_t / alpha_s where its square belongs.
"""

import math
from collections.abc import Callable

import torch


def loss_of(population: Callable) -> Callable:
    """The loss with a sigmoid weight, beta = 1, lam = 1."""

    def published_loss(network, x_0, x_t, t, xi):
        draws, m = population(network, x_t, t, xi), len(xi)
        confinement = torch.linalg.vector_norm(draws - x_0, dim=-1).mean()
        i, j = torch.triu_indices(m, m, 1)
        pairs = 2 * torch.linalg.vector_norm(draws[i] - draws[j], dim=-1).sum(0).mean()
        loss = confinement - pairs / (m * (m - 1)) / (m - 1) / 2
        weight = torch.sigmoid(2 * torch.log((1 - t) / t.clamp(min=1e-6)))  # sigmoid(log(alpha^2 / sigma^2))
        return weight.mean() * loss

    return published_loss


def bridge(t: float, s: float) -> tuple[float, float, float]:
    """Coefficients of x_t and x_0, and the standard deviation, at churn 1."""
    a, b = (1 - t) / (1 - s), s / t
    return a * b**2, (1 - s) * (1 - a * b**2), s * math.sqrt(1 - (a * b) ** 2)
