"""A regression step (forward and backward) of UNet and DiT on 28 x 28 images, ddjax against torch, in interleaved rounds.

Then what a population of 4 draws costs, in regression steps of the same net, with xi at the input and before the last block.
"""

from dataclasses import dataclass
from functools import partial

from experiments import cli
from experiments.benchmark import rounds

SHAPE = (28, 28, 1)
UNET = {"widths": (32, 64, 64), "blocks": 2, "attention": (7,), "heads": 4}
POPULATION = 4
DIT = {"patch": 4, "width": 128, "depth": 6, "heads": 4}


@dataclass(frozen=True)
class Config:
    """Time one regression step of each net, ddjax against torch eager (the `bench` extra), each with all cores."""

    rounds: int = 7
    """Rounds, after a warm-up."""
    batch: int = 32
    """Images in a step."""


def ours(network, params, batch: int, size: int = 0):
    """A function that runs one step of our side, with `size` draws or without xi, and its FLOPs as the compiler counts."""
    import jax
    import jax.numpy as jnp

    x, t = jax.random.normal(jax.random.key(0), (batch, *SHAPE)), jnp.linspace(0, 1, batch)
    xis = jax.random.normal(jax.random.key(1), (size, batch, *SHAPE)) if size else None

    def draws(params):
        draw = lambda xi: network.apply(params, x, t, None, xi)  # noqa: E731
        return draw(None)[None] if xis is None else jax.vmap(draw)(xis)

    step = jax.jit(jax.grad(lambda params: jnp.mean((draws(params) - x) ** 2))).lower(params).compile()
    return lambda: jax.block_until_ready(step(params)), step.cost_analysis()["flops"]


def theirs(module, batch: int):
    """A function that runs one step of torch's."""
    import torch

    x, t = torch.randn(batch, *SHAPE), torch.linspace(0, 1, batch)

    def step():
        module.zero_grad(set_to_none=True)
        ((module(x, t) - x) ** 2).mean().backward()

    return step


def run(config: Config) -> None:
    """Take turns, print a row for each net."""
    try:
        import torch
    except ImportError:
        raise cli.UserError("the benchmark needs torch: pip install 'ddjax[bench]'") from None
    import jax
    import numpy as np

    from ddjax import networks
    from experiments.benchmark import torch_images

    print(f"batch {config.batch}, {torch.get_num_threads()} threads, median of {config.rounds} interleaved rounds")
    print("| net | parameters | torch, ms | ddjax, ms | x torch |\n|---|---|---|---|---|")
    for name, network, module in (
        ("DiT", networks.dit(SHAPE, inject=None, **DIT), torch_images.DiT(SHAPE, *DIT.values())),
        ("UNet", networks.unet(SHAPE, inject=None, **UNET), torch_images.UNet(SHAPE, *UNET.values())),
    ):
        params = network.init(jax.random.key(0))
        sides = (theirs(torch_images.copied(module, params), config.batch), ours(network, params, config.batch)[0])
        seconds = np.array([[rounds.timed(step) for step in sides] for _ in range(config.rounds + 1)])[1:]
        torch_ms, ddjax_ms = 1e3 * np.median(seconds, 0)
        ratio = np.median(seconds[:, 0] / seconds[:, 1])
        count = sum(leaf.size for leaf in jax.tree.leaves(params))
        print(f"| {name} | {count:,} | {torch_ms:.0f} | {ddjax_ms:.0f} | {ratio:.2f} |", flush=True)

    print(f"\n| {POPULATION} draws | x FLOPs of a regression step | x its time |\n|---|---|---|")
    for name, make in (("DiT", partial(networks.dit, SHAPE, **DIT)), ("UNet", partial(networks.unet, SHAPE, **UNET))):
        nets = [make(inject=inject) for inject in (None, 0, -1)]
        steps, flops = zip(
            *(
                ours(net, net.init(jax.random.key(0)), config.batch, size)
                for net, size in zip(nets, (0, POPULATION, POPULATION), strict=True)
            ),
            strict=True,
        )
        seconds = np.array([[rounds.timed(step) for step in steps] for _ in range(config.rounds + 1)])[1:]
        for i, side in ((1, "early"), (2, "late")):
            ratio = np.median(seconds[:, i] / seconds[:, 0])
            print(f"| {name}, xi {side} | {flops[i] / flops[0]:.2f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    cli.main(Config, run)
