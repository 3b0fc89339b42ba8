"""A flow-matching step on two moons, independent and OT-coupled: ddjax against torchcfm with POT, in interleaved rounds.

Equal work on both sides: fresh moons and noise, MLP 3 x 128 with time concatenated, AdamW, batch 256. torchcfm pairs by
drawing from the exact plan; we pair by a rounded Sinkhorn plan, or exactly, by a permutation.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from experiments import cli
from experiments.benchmark import rounds


@dataclass(frozen=True)
class Config:
    """Time training steps of both (the `bench` extra), and print each coupling's price in its own independent steps."""

    rounds: int = 9
    """Rounds, after a warm-up."""
    steps: int = 100
    """Training steps in a round."""
    batch: int = 256
    """Examples in a step."""


def ours(coupling, batch: int, steps: int) -> Callable[[], None]:
    """A function that trains our side for `steps`, in one dispatch."""
    import jax
    import optax

    from ddjax import flows, networks, objectives, schedules, training
    from ddjax.data import toys

    schedule = schedules.Rectified()
    network = networks.mlp(2, width=128, depth=3, inject=None, time=networks.raw_time)
    loss_fn = objectives.flow_matching(flows.network_velocity(network, schedule), schedule, coupling=coupling)
    optimizer = optax.adamw(2e-3, weight_decay=0.01)
    train_step = training.make_train_step(loss_fn, optimizer)

    def one(state: training.TrainState, _: None):
        return train_step(state, toys.two_moons(state.keys()[0], batch, noise=0.03).x_0)

    scanned = jax.jit(lambda state: jax.lax.scan(one, state, None, length=steps)[0], donate_argnums=0)
    states = [training.TrainState.create(network.init(jax.random.key(0)), optimizer, jax.random.key(1))]

    def advance() -> None:
        states.append(jax.block_until_ready(scanned(states.pop())))

    return advance


def theirs(matcher, batch: int, steps: int) -> Callable[[], None]:
    """A function that trains torchcfm's side for `steps`."""
    import torch
    from torch import nn

    layers = [nn.Linear(3, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU()]
    network = nn.Sequential(*layers, nn.Linear(128, 2))
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.01)

    def moons() -> torch.Tensor:
        a = math.pi * torch.rand(batch // 2)
        outer = torch.stack([torch.cos(a), torch.sin(a)], -1)
        a = math.pi * torch.rand(batch - batch // 2)
        inner = torch.stack([1 - torch.cos(a), 0.5 - torch.sin(a)], -1)
        return torch.cat([outer, inner]) + 0.03 * torch.randn(batch, 2)

    def advance() -> None:
        for _ in range(steps):
            t, x_t, target = matcher.sample_location_and_conditional_flow(torch.randn(batch, 2), moons())
            loss = ((network(torch.cat([x_t, t[:, None]], -1)) - target) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return advance


def run(config: Config) -> None:
    """Take turns, print a row for each coupling."""
    if config.rounds < 1 or config.steps < 1 or config.batch < 2:
        raise cli.UserError("--rounds and --steps must be at least 1, --batch at least 2")
    try:
        import ot  # noqa: F401
        import torch  # noqa: F401
        from torchcfm import conditional_flow_matching as torchcfm
    except ImportError:
        raise cli.UserError("the benchmark needs torch, POT and torchcfm: pip install 'ddjax[bench]'") from None
    import numpy as np

    from ddjax import couplings

    size = (config.batch, config.steps)
    sides = {
        "torchcfm, independent": theirs(torchcfm.ConditionalFlowMatcher(sigma=0.0), *size),
        "torchcfm, exact OT by POT": theirs(torchcfm.ExactOptimalTransportConditionalFlowMatcher(sigma=0.0), *size),
        "ddjax, independent": ours(couplings.independent, *size),
        "ddjax, Sinkhorn permutation": ours(couplings.sinkhorn, *size),
        "ddjax, exact assignment": ours(couplings.assignment, *size),
    }
    seconds = np.array([[rounds.timed(advance) for advance in sides.values()] for _ in range(config.rounds + 1)])[1:]
    print("| step | ms | price of the coupling | x torchcfm, same kind |\n|---|---|---|---|")
    for i, name in enumerate(sides):
        own = seconds[:, 0 if i < 2 else 2]
        same = seconds[:, 0 if "independent" in name else 1]
        price, speed = np.median(seconds[:, i] / own), np.median(same / seconds[:, i])
        print(f"| {name} | {1e3 * np.median(seconds[:, i]) / config.steps:.2f} | {price:.2f} | {speed:.2f} |")


if __name__ == "__main__":
    cli.main(Config, run)
