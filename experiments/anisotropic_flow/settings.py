"""Settings."""

from dataclasses import dataclass
from typing import Annotated, Literal

from ddjax.cli.settings import Count, Positive, Range, Seed, Steps
from experiments.common.settings import Study


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
