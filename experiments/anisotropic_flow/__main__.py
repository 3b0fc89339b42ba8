"""Flow matching on the anisotropic paths of inflationary flows, beside the velocity of their probability-flow ODE.

Expected with the defaults: with independent pairs, relative L2 error below .1 on two moons, of what is learned against the exact
velocity; with pairs by optimal transport another velocity altogether, which carries the same prior to the same data.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from ddjax import cli
from ddjax.cli.settings import Count, Positive, Range, Seed, Steps
from experiments.common import study
from experiments.common.study import Study
from experiments.lazy import couplings, exact_flows, jax, velocity_judges, velocity_pages


@dataclass(frozen=True)
class Config(Study):
    """Learn the velocities of a PR-preserving and a PR-reducing flow of two moons by flow matching, with and without transport.

    The law of the moons is a mixture, and so its velocity is known. Writes summary.json, velocities.png and report.html into
    --out. Exits 1 if the relative L2 error of independent pairs, over all times, is not below .1.

    Example: python -m experiments.anisotropic_flow --steps 1000 --out runs/anisotropic
    """

    coupling: Literal["sinkhorn", "assignment"] = "sinkhorn"
    """The transport beside independent pairs: entropic plans rounded to permutations, or exact assignment."""
    noise: Annotated[float, Range(0.02, 1)] = 0.08
    """Of the moons."""
    steps: Count = 6000
    """Training steps of a model of independent pairs."""
    batch: Annotated[int, Range(2)] = 1536
    """Independent pairs of each step: near the data the velocity is a small mean of large numbers, and wants many."""
    coupled: Annotated[int, Range(2)] = 256
    """Pairs of each step by transport, which are coupled together."""
    coupled_steps: Count = 2000
    """Training steps of a model of transported pairs, whose difference from the pfODE is no small one."""
    width: Count = 128
    """Width of the network, an MLP of 3 hidden layers."""
    learning_rate: Positive = 3e-3
    """Rate of Adam at the start, which falls to 0 along a cosine."""
    n: Annotated[int, Range(100)] = 4000
    """Points behind each error and each distance."""
    flow_steps: Steps = 128
    """Heun's steps of the learned flows."""
    seed: Seed = 0
    """Of all random numbers."""

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once: costs and plans of a batch, activations, and the components of the law."""
        return {
            ("coupled",): 4 * self.coupled**2,
            ("batch", "width"): 12 * self.batch * self.width,
            ("coupled", "width"): 12 * self.coupled * self.width,
            ("n",): 3 * 128 * self.n,
            ("n", "width"): 4 * self.n * self.width,
        }


TARGET = 0.1
INDEPENDENT = "independent"


def run(config: Config) -> None:
    """Train, compare, write."""
    began = time.monotonic()
    folder = study.folder(config, "anisotropic_flow")
    law = exact_flows.moons(noise=config.noise)
    made = {"preserving": exact_flows.preserving(law), "reducing": exact_flows.reducing(law, keep=1)}
    found = {}
    for name, key in zip(made, jax.random.split(jax.random.key(config.seed), len(made)), strict=True):
        found[name] = compared(config, made[name], key)
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
    worst = max(of[INDEPENDENT]["overall"] for of in found.values())
    study.write(folder, "anisotropic_flow", config, velocity_pages.findings(found, INDEPENDENT, TARGET), began)
    if not worst < TARGET:
        raise SystemExit(f"error: the relative error of independent pairs is {worst:.3f}, not below {TARGET:g}")


def compared(config: Config, flow: Any, key: Any) -> dict[str, dict[str, Any]]:
    """By coupling: errors by time and overall, the spread of the path, and the distance of generated points with its floor."""
    pairs = {
        INDEPENDENT: couplings.independent,
        config.coupling: velocity_judges.transported(flow, getattr(couplings, config.coupling)),
    }
    how = {"width": config.width, "learning_rate": config.learning_rate}
    _, velocity = velocity_judges.learned(flow, config.width)
    found = {}
    for (name, coupling), key_of_one in zip(pairs.items(), jax.random.split(key, len(pairs)), strict=True):
        key_train, key_errors, key_overall, key_spread, key_distance = jax.random.split(key_of_one, 5)
        alone = name == INDEPENDENT
        batch, steps = (config.batch, config.steps) if alone else (config.coupled, config.coupled_steps)
        params = velocity_judges.trained(flow, coupling, key_train, batch=batch, steps=steps, **how)
        by_time = velocity_judges.errors(flow, velocity, params, key_errors, n=config.n)
        distance, floor = velocity_judges.distance(
            flow, velocity, params, key_distance, n=config.n, steps=config.flow_steps
        )
        found[name] = {
            "by_time": by_time.relative().tolist(),
            "size": by_time.size.tolist(),
            "overall": velocity_judges.overall(flow, velocity, params, key_overall, n=config.n),
            "spread": velocity_judges.spread(flow, coupling, key_spread, batch=batch).tolist(),
            "mmd2": distance,
            "floor": [float(floor.mean), float(floor.std)],
        }
    return found


if __name__ == "__main__":
    cli.main(Config, run)
