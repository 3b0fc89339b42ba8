"""The torch side, written from the equations: fair pair factor, exact bridge, weight 1; or as published, see `torch_published`."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from experiments.benchmark import torch_published, torch_side, toy
from experiments.benchmark.side import Side, Work
from experiments.benchmark.torch_side import DEVICE


class MLP(nn.Module):
    """The network of `ddjax.networks.mlp(2)`, as a torch user writes it: xi concatenated to the input of layer `inject`."""

    def __init__(self, inject: int = 0):
        super().__init__()
        self.inject = inject
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in toy.layer_sizes(inject))
        frequencies = torch.logspace(math.log10(0.5), math.log10(16.0), toy.TIME // 2)
        self.register_buffer("frequencies", math.pi * frequencies)

    def forward(self, x_t, t, xi):
        """One draw of x_0 for each row."""
        angles = t[:, None] * self.frequencies
        h = torch.cat([x_t, torch.cos(angles), torch.sin(angles)], -1)
        for i, layer in enumerate(self.layers):
            h = layer(torch.cat([h, xi], -1) if i == self.inject else h)
            h = nn.functional.silu(h) if i < toy.DEPTH else h
        return h.float()


def population(network, x_t, t, xi):
    """Draws [m, batch, 2] for xi [m, batch, 2]."""
    m, batch, d = xi.shape
    return network(x_t.repeat(m, 1), t.repeat(m), xi.reshape(m * batch, d)).reshape(m, batch, d)


def loss_of(network, x_0, x_t, t, xi):
    """Energy score, beta = 1, lam = 1; each unordered pair once."""
    draws = population(network, x_t, t, xi)
    confinement = torch.linalg.vector_norm(draws - x_0, dim=-1).mean()
    i, j = torch.triu_indices(len(xi), len(xi), 1)
    interaction = torch.linalg.vector_norm(draws[i] - draws[j], dim=-1).mean()
    return confinement - interaction / 2


def bridge(t: float, s: float) -> tuple[float, float, float]:
    """Coefficients of x_t and x_0, and the standard deviation, of the bridge at churn 1."""
    r = (1 - t) / (1 - s) * s / t
    c_t = s / t * r
    return c_t, 1 - s - c_t * (1 - t), s * math.sqrt(1 - r * r)


def batch_of(size: int) -> torch.Tensor:
    """Data of the two Gaussians."""
    side = torch.randint(0, 2, (size, 1), device=DEVICE) * 6.0 - 3.0
    return torch.cat([side, torch.full_like(side, 3.0)], 1) + 0.5 * torch.randn(size, 2, device=DEVICE)


def make(
    trainings: Sequence[tuple[int, int]] = (),
    draws: Sequence[tuple[int, int]] = (),
    compiled: bool = False,
    bf16: bool = False,
    published: bool = False,
    seed: int = 0,
    steps: int | None = None,
) -> Side:
    """Training at every (batch, population) and sampling at every (n, number of steps).

    Args:
        compiled: torch.compile on the whole loss and on the network.
        published: the loss and the bridge of the public reimplementation.
        steps: training steps in a call (default: `toy.steps`).
    """
    torch.manual_seed(seed)
    loss = torch_published.loss_of(population) if published else loss_of
    first, work = None, {}
    for batch, size in trainings:
        network, done = MLP().to(DEVICE), steps or toy.steps(batch, size)
        first = first or network
        program = torch_side.compiled(loss) if compiled else loss
        advance = torch_side.synchronised(trainer(network, program, batch, size, done, bf16))
        work[f"train {batch} {size}"] = Work(advance, done, done * size * toy.training_flops(0, batch, 1))
    first = first or MLP().to(DEVICE)
    forward = torch_side.compiled(first) if compiled else first
    draw = partial(sample, forward, torch_published.bridge if published else bridge, bf16)
    for n, nfe in draws:
        run = torch_side.synchronised(partial(draw, n, nfe))
        work[f"sample {n} {nfe}"] = Work(run, 1, nfe * toy.forward_flops(0, n, 1))

    def equal() -> dict[str, float | int]:
        numbers = {"parameters": torch_side.count(first)}
        if bf16 or compiled or published:
            return numbers
        return numbers | {f"loss, xi at layer {i}": fixed_loss(i) for i in toy.INJECTIONS}

    def save(path: str, n: int, nfe: int, seed: int) -> None:
        np.save(path, draw(n, nfe).cpu().numpy())

    return Side(work, equal, torch_side.device(), torch_side.memory_mb, torch_side.matmul, {"save": save})


def trainer(network, loss, batch: int, size: int, steps: int, bf16: bool) -> Callable[[], None]:
    """A function that trains for `steps`."""
    optimizer = torch.optim.Adam(network.parameters(), lr=toy.LEARNING_RATE)

    def advance() -> None:
        for _ in range(steps):
            x_0, noise = batch_of(batch), torch.randn(batch, 2, device=DEVICE)
            t = torch.rand(batch, device=DEVICE)
            x_t = (1 - t[:, None]) * x_0 + t[:, None] * noise
            xi = torch.randn(size, batch, 2, device=DEVICE)
            optimizer.zero_grad(set_to_none=True)
            with torch_side.autocast(bf16):
                value = loss(network, x_0, x_t, t, xi)
            value.backward()
            optimizer.step()

    return advance


@torch.no_grad()
def sample(forward, coefficients, bf16: bool, n: int, nfe: int) -> torch.Tensor:
    """n samples in nfe steps of a bridge at churn 1."""
    x = torch.randn(n, 2, device=DEVICE)
    for t, s in pairwise(torch.linspace(1, 0, nfe + 1).tolist()):
        with torch_side.autocast(bf16):
            x_0 = forward(x, torch.full((n,), t, device=DEVICE), torch.randn(n, 2, device=DEVICE))
        c_t, c_0, std = coefficients(t, s)
        x = c_t * x + c_0 * x_0 + std * torch.randn(n, 2, device=DEVICE)
    return x


def fixed_loss(inject: int) -> float:
    """The loss at the weights and noise that ddjax gets too."""
    network, inputs = MLP(inject), toy.fixed_inputs(inject)
    with torch.no_grad():
        for i, linear in enumerate(network.layers):
            linear.weight.copy_(torch.from_numpy(inputs[f"kernel_{i}"].T.copy()))
            linear.bias.copy_(torch.from_numpy(inputs[f"bias_{i}"]))
        network = network.to(DEVICE)
        given = (torch.from_numpy(inputs[name]).to(DEVICE) for name in ("x_0", "x_t", "t", "xi"))
        return float(loss_of(network, *given))
