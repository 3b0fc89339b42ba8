"""What exact oracles reach at every number of steps."""

import jax

from ddjax import judging, metrics, targets, types
from ddjax.mixtures import GaussianMixture
from experiments.common import oracles
from experiments.limits.settings import Config


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
    numbers = []
    # the null law of MMD^2 has a long tail (single draws leave 4 standard deviations about once in 100): four draws a cell
    exact = oracles.oracles(mixture)
    for name, key, draws in ((oracles.EXACT, key_exact, 4), (oracles.MEAN, key_mean, 1)):
        draw = exact[name]
        drawn = lambda _, key, steps, churn, draw=draw: types.Batch(draw(None, key, config.n, steps=steps, churn=churn))  # noqa: E731
        swept = {"nfe": config.nfe, "churn": config.churn, "repeats": draws}
        numbers += judging.sweep(name, drawn, [None], judging.against(truth, chosen), floors, key, **swept)
    off = [abs(number.value - number.floor) / number.floor_std for number in numbers if number.model == oracles.EXACT]
    return judging.table(numbers, "mmd2"), max(off)
