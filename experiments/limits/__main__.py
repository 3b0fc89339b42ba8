"""The physical limit: what the exact posterior sampler and the exact posterior mean reach at every number of steps.

No training: both denoisers are closed forms. The sampler stays at the floor for every number of steps and every churn;
the mean, which is the best that a classical model can learn, does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from ddjax import cli
from ddjax.cli.settings import Fraction, Range, Steps
from experiments.lazy import jax, judging, metrics, mixtures, sampling, schedules, targets, types

if TYPE_CHECKING:
    from ddjax.mixtures import GaussianMixture


@dataclass(frozen=True)
class Config:
    """Print the oracle ladder: MMD^2 of both oracles at 1 to 64 steps, in units of the floor too. Exits 1 if the exact
    sampler leaves the floor by more than 4 standard deviations anywhere.

    Example: python -m experiments.limits --nfe 1 2 4
    """

    n: Annotated[int, Range(2)] = 10_000
    """Points for each distance."""
    nfe: tuple[Steps, ...] = (1, 2, 4, 8, 16, 32, 64)
    """Numbers of steps."""
    churn: tuple[Fraction, ...] = (0.0, 0.5, 1.0)
    """Noise of the bridge."""
    repeats: Annotated[int, Range(16)] = 16
    """Pairs of true samples behind each floor: of fewer its deviation is no gate."""

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once: two sets of points in three dimensions."""
        return {("n",): 6 * self.n}


def run(config: Config) -> None:
    """Measure and print."""
    worst = 0.0
    for name, mixture in {"two Gaussians": targets.two_gaussians(), "skewed mixture in 3-D": targets.skewed()}.items():
        text, deviation = ladder(mixture, config)
        print(f"## {name}: MMD^2 (RBF, bandwidth 1, U), n = {config.n}\n\n{text}")
        print(f"exact posterior: at most {deviation:.1f} floor standard deviations from the floor\n")
        worst = max(worst, deviation)
    if worst > 4:
        raise SystemExit(f"error: the exact sampler leaves the floor by {worst:.1f} standard deviations, more than 4")


def ladder(mixture: GaussianMixture, config: Config) -> tuple[str, float]:
    """A table of both oracles, and how many floor standard deviations the exact sampler is off at worst."""
    truth = lambda key, n: types.Batch(mixture.sample(key, n))  # noqa: E731
    chosen = {"mmd2": judging.Metric("MMD²", judging.on_points(metrics.mmd))}
    key_floor, key_exact, key_mean = jax.random.split(jax.random.key(2026), 3)
    floors = judging.floors(truth, chosen, key_floor, n=config.n, repeats=config.repeats)
    numbers, schedule = [], schedules.Rectified()
    # the null law of MMD^2 has a long tail (single draws leave 4 standard deviations about once in 100): four draws a cell
    for name, oracle, key, draws in (
        ("exact posterior (oracle)", mixtures.oracle, key_exact, 4),
        ("exact mean (oracle)", mixtures.mean_oracle, key_mean, 1),
    ):
        draw = sampling.drawing(sampling.by_bridge(oracle(mixture, schedule), schedule, mixture.means.shape[1:]))
        drawn = lambda _, key, steps, churn, draw=draw: types.Batch(draw(None, key, config.n, steps=steps, churn=churn))  # noqa: E731
        swept = {"nfe": config.nfe, "churn": config.churn, "repeats": draws}
        numbers += judging.sweep(name, drawn, [None], judging.against(truth, chosen), floors, key, **swept)
    off = [abs(number.value - number.floor) / number.floor_std for number in numbers if "posterior" in number.model]
    return judging.table(numbers, "mmd2"), max(off)


if __name__ == "__main__":
    cli.main(Config, run)
