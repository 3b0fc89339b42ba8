"""Three mistakes of published code, each beside the right formula: what they cost, on targets with a known truth."""

from dataclasses import dataclass
from typing import Annotated

from experiments import cli
from experiments.settings import Range, Steps


@dataclass(frozen=True)
class Config:
    """Print what a wrong bridge coefficient, a pair factor divided twice and an epsilon inside a power cost."""

    n: Annotated[int, Range(2)] = 10_000
    """Points for each distance."""
    nfe: tuple[Steps, ...] = (4, 8, 16, 64)
    """Numbers of steps for the bridge."""
    population: Annotated[int, Range(2)] = 8
    """Draws m of the pair factor."""

    def floats(self) -> dict[tuple[str, ...], float]:
        """Numbers that must be in memory at once: two sets of points in the plane."""
        return {("n",): 4 * self.n}


def run(config: Config) -> None:
    """Measure and print."""
    import jax

    from ddjax import mixtures, schedules, times
    from experiments import evaluation
    from experiments.dispersion_law import exact, trained
    from experiments.targets import two_gaussians

    mixture, schedule = two_gaussians(), schedules.Rectified()
    oracle = mixtures.oracle(mixture, schedule)
    right = evaluation.make_draw(oracle, schedule, (config.n, 2))
    wrong = evaluation.make_draw(oracle, schedule, (config.n, 2), make_step=published_bridge)
    print("Bridge, with the EXACT posterior, churn 1: MMD^2 to the truth (right: 0 for every number of steps)\n")
    print("| steps | right coefficient | (alpha_t / alpha_s) to the first power |\n|---|---|---|")
    for steps, key in zip(config.nfe, jax.random.split(jax.random.key(0), len(config.nfe)), strict=True):
        key_draw, key_truth = jax.random.split(key)
        truth = mixture.sample(key_truth, config.n)
        cells = [
            evaluation.mmd2(draw(None, jax.random.clone(key_draw), 1.0, times.grid(steps)), truth)
            for draw in (right, wrong)
        ]
        print(f"| {steps} | {cells[0]:.1e} | {cells[1]:.3f} |")

    m = config.population
    print(f"\nPair factor divided by m - 1 twice, beta 1, m {m}: the spread of a trained posterior over the true one\n")
    print("| loss | trained | closed form |\n|---|---|---|")
    for name, lam in (("right", 1.0), ("divided twice", 1 / (m - 1))):
        print(f"| {name} | {trained(lam, 1.0, steps=2000, batch=2048):.3f} | {exact(lam, 1.0):.3f} |")

    print("\nEpsilon in (||x||^2 + 1e-12)^(beta / 2): the distance it gives to two equal points\n")
    print("| beta | with epsilon | right |\n|---|---|---|")
    for beta in (0.1, 0.5, 1.0):
        print(f"| {beta} | {1e-12 ** (beta / 2):.2g} | 0 |")


def published_bridge(denoise, schedule, *, churn):
    """A bridge step whose x_0 coefficient has alpha_t / alpha_s where its square belongs (exact at churn 1 otherwise)."""
    import jax
    import jax.numpy as jnp

    def step(key, x_t, t, s):
        key_xi, key_z = jax.random.split(key)
        x_0 = denoise(key_xi, x_t, jnp.full(x_t.shape[0], t))
        alpha_t, sigma_t = schedule(t)
        alpha_s, sigma_s = schedule(s)
        a, b = alpha_t / alpha_s, sigma_s / sigma_t
        std = sigma_s * jnp.sqrt(1 - (a * b) ** 2)
        return a * b**2 * x_t + alpha_s * (1 - a * b**2) * x_0 + std * jax.random.normal(key_z, x_t.shape)

    return step


if __name__ == "__main__":
    cli.main(Config, run)
