"""The physical limit: what the exact posterior sampler and the exact posterior mean reach at every number of steps.

No training: both denoisers are closed forms. The sampler stays at the floor for every number of steps and every churn;
the mean, which is the best that a classical model can learn, does not.
"""

from dataclasses import dataclass
from typing import Annotated

from experiments import cli
from experiments.settings import Fraction, Range, Steps


@dataclass(frozen=True)
class Config:
    """Print the oracle ladder: MMD^2 of both oracles at 1 to 64 steps, in units of the floor too. Exits 1 if the exact
    sampler leaves the floor by more than 4 standard deviations anywhere."""

    n: Annotated[int, Range(2)] = 10_000
    """Points for each distance."""
    nfe: tuple[Steps, ...] = (1, 2, 4, 8, 16, 32, 64)
    """Numbers of steps."""
    churn: tuple[Fraction, ...] = (0.0, 0.5, 1.0)
    """Noise of the bridge."""
    repeats: Annotated[int, Range(2)] = 16
    """Pairs of true samples behind each floor."""

    def floats(self) -> dict[tuple[str, ...], float]:
        """Numbers that must be in memory at once: two sets of points in three dimensions."""
        return {("n",): 6 * self.n}


def run(config: Config) -> None:
    """Measure and print."""
    from experiments.evaluation import oracle_ladder
    from experiments.targets import skewed, two_gaussians

    worst = 0.0
    for name, mixture in {"two Gaussians": two_gaussians(), "skewed mixture in 3-D": skewed()}.items():
        text, deviation = oracle_ladder(mixture, n=config.n, nfe=config.nfe, churn=config.churn, repeats=config.repeats)
        print(f"## {name}: MMD^2 (RBF, bandwidth 1, U), n = {config.n}\n\n{text}")
        print(f"exact posterior: at most {deviation:.1f} floor standard deviations from the floor\n")
        worst = max(worst, deviation)
    if worst > 4:
        raise SystemExit(f"error: the exact sampler leaves the floor by {worst:.1f} standard deviations, more than 4")


if __name__ == "__main__":
    cli.main(Config, run)
