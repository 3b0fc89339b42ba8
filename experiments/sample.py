"""Draw samples from a saved run."""

import importlib
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

from experiments import cli, runs


@dataclass(frozen=True)
class Config:
    """Draw samples from a model that an experiment trained, into a .npz file (array x_0, and how it was drawn).

    Models with classes draw them in turns: sample i of each chunk has class i modulo their number.
    """

    run: Path
    """Folder of the run, with its config.yaml and checkpoints."""
    out: Path = Path("samples.npz")
    """File to write."""
    n: int = 10_000
    """Number of samples."""
    steps: int = 4
    """Sampling steps: each is one call of the denoiser."""
    churn: float = 1.0
    """Noise of the bridge sampler in [0, 1]: 0 is DDIM, 1 is DDPM."""
    model: str | None = None
    """Which trained model of the run, for instance ddm-beta1-seed0 (default: the first)."""
    seed: int = 0
    """Seed of the draw."""
    chunk: int = 65_536
    """Samples drawn at a time: the bound on memory."""


def run(config: Config) -> None:
    """Load, draw, write."""
    settings = runs.read_settings(config.run)
    if config.n < 1 or config.steps < 1 or config.chunk < 1:
        raise cli.UserError(
            f"--n, --steps and --chunk must be at least 1, got {config.n}, {config.steps}, {config.chunk}"
        )
    if not 0 <= config.churn <= 1:
        raise cli.UserError(f"--churn must lie in [0, 1], got {config.churn}")
    if not config.out.absolute().parent.is_dir():
        raise cli.UserError(f"cannot write --out {config.out}: its folder does not exist")
    loaders = {"two_gaussians": "experiments.gaussian_run", "images": "experiments.imaging.run"}
    if settings["experiment"] not in loaders:
        raise cli.UserError(f"{config.run} is a run of {settings['experiment']!r}, which cannot be sampled here")

    import jax
    import numpy as np

    from ddjax import paths, samplers, times

    module = importlib.import_module(loaders[settings["experiment"]])
    denoise, schedule, shape = module.load(config.run, Namespace(**settings), config.model)
    step = samplers.bridge(denoise, schedule, churn=config.churn)
    grid = times.grid(config.steps)

    def draw(key, n):
        key_prior, key_steps = jax.random.split(key)
        return samplers.sample(step, key_steps, paths.prior(schedule, key_prior, (n, *shape)), grid)

    drawn = jax.jit(lambda key: samplers.in_chunks(draw, key, config.n, chunk=config.chunk))
    x_0 = np.asarray(drawn(jax.random.key(config.seed)))
    drafted = config.out.with_name(config.out.name + ".draft.npz")
    np.savez(drafted, x_0=x_0, steps=config.steps, churn=config.churn, seed=config.seed)
    drafted.replace(config.out)
    print(f"{config.n} samples in {config.steps} steps: {config.out} (mean {x_0.mean():.3g}, std {x_0.std():.3g})")


if __name__ == "__main__":
    cli.main(Config, run)
