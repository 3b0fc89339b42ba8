"""Three published mistakes and what each costs."""

from typing import Any

import jax
import jax.numpy as jnp

from ddjax import denoisers, judging, metrics, mixtures, paths, samplers, schedules, targets, times
from ddjax.recipes import sampling
from experiments.traps.settings import Config


def run(config: Config) -> None:
    """Measure and print."""
    from experiments.common.dispersion_law import exact, trained

    mixture, schedule = targets.two_gaussians(), schedules.Rectified()
    oracle = mixtures.oracle(mixture, schedule)
    right = sampling.drawing(sampling.by_bridge(oracle, schedule, (2,)))

    @jax.jit
    def wrong(key: Any, grid: Any) -> Any:
        key_prior, key_steps = jax.random.split(key)
        step = published_bridge(denoisers.bind(oracle, None), schedule)
        return samplers.sample(step, key_steps, paths.prior(schedule, key_prior, (config.n, 2)), grid)

    print("Bridge, with the EXACT posterior, churn 1: MMD^2 to the truth (right: 0 for every number of steps)\n")
    lines = []
    for steps, key in zip(config.nfe, jax.random.split(jax.random.key(0), len(config.nfe)), strict=True):
        key_draw, key_truth = jax.random.split(key)
        truth = mixture.sample(key_truth, config.n)
        drawn = right(None, jax.random.clone(key_draw), config.n, steps=steps), wrong(key_draw, times.grid(steps))
        good, bad = (float(metrics.mmd(x_0, truth)) for x_0 in drawn)
        lines.append([str(steps), f"{good:.1e}", f"{bad:.3f}"])
    print(judging.markdown(["steps", "right coefficient", "(alpha_t / alpha_s) to the first power"], lines))

    m = config.population
    print(f"\nPair factor divided by m - 1 twice, beta 1, m {m}: the spread of a trained posterior over the true one\n")
    lines = [
        [name, f"{trained(lam, 1.0, steps=2000, batch=2048):.3f}", f"{exact(lam, 1.0):.3f}"]
        for name, lam in (("right", 1.0), ("divided twice", 1 / (m - 1)))
    ]
    print(judging.markdown(["loss", "trained", "closed form"], lines))

    print("\nEpsilon in (||x||^2 + 1e-12)^(beta / 2): the distance it gives to two equal points\n")
    lines = [[f"{beta}", f"{1e-12 ** (beta / 2):.2g}", "0"] for beta in (0.1, 0.5, 1.0)]
    print(judging.markdown(["beta", "with epsilon", "right"], lines))


def published_bridge(denoise: Any, schedule: Any) -> Any:
    """A bridge step whose x_0 coefficient has alpha_t / alpha_s where its square belongs, at churn 1."""

    def step(key, x_t, t, s):
        key_xi, key_z = jax.random.split(key)
        x_0 = denoise(key_xi, x_t, jnp.full(x_t.shape[0], t))
        alpha_t, sigma_t = schedule(t)
        alpha_s, sigma_s = schedule(s)
        a, b = alpha_t / alpha_s, sigma_s / sigma_t
        std = sigma_s * jnp.sqrt(1 - (a * b) ** 2)
        return a * b**2 * x_t + alpha_s * (1 - a * b**2) * x_0 + std * jax.random.normal(key_z, x_t.shape)

    return step
