"""The torchcfm side of OT-coupled flow matching: pairs are drawn from the exact plan of POT."""

import math

import torch
from torch import nn
from torchcfm import conditional_flow_matching as torchcfm

from experiments.benchmark import flow, torch_side
from experiments.benchmark.side import Side, Work
from experiments.benchmark.torch_side import DEVICE

MATCHERS = {
    "independent": torchcfm.ConditionalFlowMatcher,
    "exact": torchcfm.ExactOptimalTransportConditionalFlowMatcher,
}


def net() -> nn.Sequential:
    """Linear and SiLU in turn."""
    layers = [layer for n_in, n_out in flow.SIZES for layer in (nn.Linear(n_in, n_out), nn.SiLU())]
    return nn.Sequential(*layers[:-1])


def moons(n: int) -> torch.Tensor:
    """Fresh data."""
    a, b = math.pi * torch.rand(n // 2, device=DEVICE), math.pi * torch.rand(n - n // 2, device=DEVICE)
    outer, inner = torch.stack([a.cos(), a.sin()], -1), torch.stack([1 - b.cos(), 0.5 - b.sin()], -1)
    return torch.cat([outer, inner]) + 0.03 * torch.randn(n, 2, device=DEVICE)


def loss_of(network: nn.Module, t, x_t, target) -> torch.Tensor:
    """The flow-matching loss."""
    return ((network(torch.cat([x_t, t[:, None]], -1)) - target) ** 2).mean()


def make(coupling: str, compiled: bool = False) -> Side:
    """Training steps with a coupling. compiled: torch.compile on the loss; the coupling runs on the host."""
    matcher, network = MATCHERS[coupling](sigma=0.0), net().to(DEVICE)
    loss = torch_side.compiled(loss_of) if compiled else loss_of
    rates = {"lr": flow.LEARNING_RATE, "weight_decay": flow.WEIGHT_DECAY}
    optimizer = torch.optim.AdamW(network.parameters(), **rates)

    def advance() -> None:
        for _ in range(flow.STEPS):
            noise = torch.randn(flow.BATCH, 2, device=DEVICE)
            drawn = matcher.sample_location_and_conditional_flow(noise, moons(flow.BATCH))
            optimizer.zero_grad(set_to_none=True)
            loss(network, *drawn).backward()
            optimizer.step()

    def equal() -> dict[str, float | int]:
        return {"parameters": torch_side.count(network), "batch": flow.BATCH, "loss": fixed_loss()}

    work = {"train": Work(torch_side.synchronised(advance), flow.STEPS)}
    return Side(work, equal, torch_side.device(), torch_side.memory_mb, torch_side.matmul)


def fixed_loss() -> float:
    """At the weights and pairs that ddjax gets too: x_t = (1 - t) x_0 + t x_1, target x_1 - x_0."""
    network, inputs = net(), {name: torch.from_numpy(value) for name, value in flow.fixed_inputs().items()}
    with torch.no_grad():
        for i, linear in enumerate(layer for layer in network if isinstance(layer, nn.Linear)):
            linear.weight.copy_(inputs[f"kernel_{i}"].T)
            linear.bias.zero_()
        t, x_0, x_1 = inputs["t"], inputs["x_0"], inputs["x_1"]
        return float(loss_of(network, t, (1 - t[:, None]) * x_0 + t[:, None] * x_1, x_1 - x_0))
