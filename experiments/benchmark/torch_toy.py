"""The torch side, written from the equations: fair pair factor, exact bridge, weight 1."""

import math
import time
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from experiments.benchmark import toy


class MLP(nn.Module):
    """The network of `ddjax.networks.mlp(2, inject=0)`, as a torch user writes it."""

    def __init__(self):
        super().__init__()
        sizes = [2 + toy.TIME + 2, *[toy.WIDTH] * toy.DEPTH]
        layers = [nn.Sequential(nn.Linear(a, b), nn.SiLU()) for a, b in pairwise(sizes)]
        self.layers = nn.Sequential(*layers, nn.Linear(toy.WIDTH, 2))
        frequencies = torch.logspace(math.log10(0.5), math.log10(16.0), toy.TIME // 2)
        self.register_buffer("frequencies", math.pi * frequencies)

    def forward(self, x_t, t, xi):
        """One draw of x_0 for each row."""
        angles = t[:, None] * self.frequencies
        return self.layers(torch.cat([x_t, torch.cos(angles), torch.sin(angles), xi], -1))


def loss_of(network, x_0, x_t, t, xi):
    """Energy score, beta = 1, lam = 1, of a population [m, batch, 2] of xi; each unordered pair once."""
    m, batch, d = xi.shape
    repeated_x, repeated_t = x_t.repeat(m, 1), t.repeat(m)
    draws = network(repeated_x, repeated_t, xi.reshape(m * batch, d)).reshape(m, batch, d)
    confinement = torch.linalg.vector_norm(draws - x_0, dim=-1).mean()
    i, j = torch.triu_indices(m, m, 1)
    interaction = torch.linalg.vector_norm(draws[i] - draws[j], dim=-1).mean()
    return confinement - interaction / 2


def batch():
    """Data of the two Gaussians."""
    side = torch.randint(0, 2, (toy.BATCH, 1)) * 6.0 - 3.0
    return torch.cat([side, torch.full_like(side, 3.0)], 1) + 0.5 * torch.randn(toy.BATCH, 2)


class Worker:
    """Trains and samples for the benchmark; `compiled` uses torch.compile on the whole loss."""

    def __init__(self, compiled: bool):
        torch.manual_seed(0)
        self.network = MLP()
        self.loss = torch.compile(loss_of) if compiled else loss_of
        self.forward = torch.compile(self.network) if compiled else self.network
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=toy.LEARNING_RATE)

    def parameters(self) -> int:
        """Number of trained numbers."""
        return sum(p.numel() for p in self.network.parameters())

    def fixed_loss(self, inputs: dict[str, np.ndarray]) -> float:
        """The loss at given weights and noise."""
        network = MLP()
        linears = [module for module in network.modules() if isinstance(module, nn.Linear)]
        with torch.no_grad():
            for i, linear in enumerate(linears):
                linear.weight.copy_(torch.from_numpy(inputs[f"kernel_{i}"].T.copy()))
                linear.bias.copy_(torch.from_numpy(inputs[f"bias_{i}"]))
            return float(loss_of(network, *(torch.from_numpy(inputs[name]) for name in ("x_0", "x_t", "t", "xi"))))

    def train(self, steps: int) -> float:
        """Seconds of `steps` training steps."""
        began = time.perf_counter()
        for _ in range(steps):
            x_0, noise = batch(), torch.randn(toy.BATCH, 2)
            t = torch.rand(toy.BATCH)
            x_t = (1 - t[:, None]) * x_0 + t[:, None] * noise
            xi = torch.randn(toy.POPULATION, toy.BATCH, 2)
            self.optimizer.zero_grad(set_to_none=True)
            self.loss(self.network, x_0, x_t, t, xi).backward()
            self.optimizer.step()
        return time.perf_counter() - began

    @torch.no_grad()
    def sample(self) -> float:
        """Seconds of 10,000 samples in 20 steps of the exact bridge at churn 1."""
        began = time.perf_counter()
        x = torch.randn(toy.SAMPLES, 2)
        grid = torch.linspace(1, 0, toy.SAMPLING_STEPS + 1).tolist()
        for t, s in pairwise(grid):
            x_0 = self.forward(x, torch.full((toy.SAMPLES,), t), torch.randn(toy.SAMPLES, 2))
            r = (1 - t) / (1 - s) * s / t
            c_t = s / t * r
            x = (1 - s - c_t * (1 - t)) * x_0 + c_t * x + s * math.sqrt(1 - r * r) * torch.randn(toy.SAMPLES, 2)
        return time.perf_counter() - began
