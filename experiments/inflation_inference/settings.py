"""Settings."""

from dataclasses import dataclass
from typing import Annotated

from ddjax.cli.settings import Count, Range, Seed, Steps
from experiments.common.settings import Study


@dataclass(frozen=True)
class Config(Study):
    """Infer the weights of a mixture from data, and from data that went through a flow and back or came out of one.

    Needs the extra `inference` (blackjax). Writes summary.json, posteriors.png, ranks.png, balls.png and report.html into --out.
    Exits 1 if ranks are not uniform at p = .001, with Bonferroni's correction for all weights and kinds of data.

    Example: python -m experiments.inflation_inference --runs 50
    """

    n: Annotated[int, Range(20)] = 300
    """Observations of each data set."""
    runs: Annotated[int, Range(50)] = 100
    """Data sets of simulation-based calibration, for each way through a flow."""
    concentration: Annotated[float, Range(0.1, 100)] = 1.0
    """Of the symmetric Dirichlet prior of the weights; 1 is uniform on the simplex."""
    flow_steps: Steps = 128
    """Heun's steps of a flow, either way."""
    warmup: Annotated[int, Range(50)] = 200
    """Steps that adapt a chain to its posterior, and are dropped."""
    thin: Count = 4
    """Steps of a chain from one kept draw to the next."""
    chains: Annotated[int, Range(2)] = 4
    """Chains of 500 kept draws behind each posterior that is shown; of the 99 draws behind a rank it is one."""
    seed: Seed = 0
    """Of all random numbers."""

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once: points in a flow with all that Heun's step makes of them."""
        return {("runs", "n"): 60 * self.runs * self.n, ("chains", "n"): 60 * self.chains * self.n}
