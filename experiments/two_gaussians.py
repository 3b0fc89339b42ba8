"""Distributional diffusion on the paper's two Gaussians, beside regression and both exact oracles.

Paper: De Bortoli et al., "Distributional Diffusion Models with Scoring Rules", arXiv 2502.02483, section 5.1.
Expected with the defaults: MMD^2 (RBF, bandwidth 1, U-statistic, n = 10,000) below 5e-3 at 1 step and 1e-3 at 4 steps.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from experiments import cli, engine


@dataclass(frozen=True)
class Config(engine.Engine):
    """Train distributional diffusion (DDM) and x_0 regression on two Gaussians, judge both at 1 to 32 steps.

    Writes config.yaml, metrics.jsonl, summary.json, figures, report.html and checkpoints into --out.
    """

    seeds: int = 1
    """Number of seeds, 0 to seeds - 1; tables give medians and ranges over them."""
    steps: int = 3000
    """Training steps of each model."""
    population: int = 8
    """Draws m for each example in the loss; at least 2 when lam > 0."""
    beta: tuple[float, ...] = (1.0,)
    """Exponents of the energy score, each in (0, 2]; one model for each."""
    lam: float = 1.0
    """Weight of the interaction: 1 is the proper rule, below 1 the spread shrinks."""
    churn: tuple[float, ...] = (0.0, 1.0)
    """Noise of the bridge sampler, each in [0, 1]: 0 is DDIM, 1 is DDPM."""
    nfe: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    """Numbers of sampling steps to judge."""
    batch: int = 512
    """Examples for each training step."""
    width: int = 128
    """Width of the hidden layers."""
    depth: int = 4
    """Number of hidden layers."""
    inject: int = 1
    """Hidden layer that xi joins: 0 is the input (the paper's), later ones share more over the population."""
    predicts: Literal["x0", "velocity"] = "velocity"
    """What the networks output; the score is taken of x_0 either way."""
    weight: Literal["uniform", "sigmoid"] = "uniform"
    """w(t) of the loss: sigmoid is sigmoid(logsnr), which starves the noise end and so the first steps."""
    time_exponent: float = 0.7
    """Training times are u^exponent: below 1 favours the noise end, where few-step sampling lives."""
    learning_rate: float = 5e-3
    """Peak rate of Adam, after a warm-up and before a cosine decay to 1 percent."""
    ema_decay: float = 0.999
    """Decay of the averaged parameters that are sampled from."""
    samples: int = 10_000
    """Points for each measured distance."""
    repeats: int = 2
    """Fresh draws for each seed behind each number."""
    save_every: int = 1000
    """Training steps between checkpoints, a multiple of 100."""
    full: bool = False
    """The full protocol: beta .1, .5, 1 and 1.5, three seeds, 4,000 steps (explicit flags still win)."""
    config: Path | None = None
    """A YAML file of settings named as the flags; the command line wins over it."""


PRESETS = {"full": {"beta": (0.1, 0.5, 1.0, 1.5), "seeds": 3, "steps": 4000}}


def check(config: Config) -> None:
    """Raises: ValueError for settings that no run can have, before any compute."""
    if config.population < 2 and config.lam > 0:
        raise ValueError(f"--population must be at least 2 when lam > 0, got {config.population}")
    if config.lam < 0:
        raise ValueError(f"--lam must not be negative, got {config.lam}")
    if bad := [e for e in config.churn if not 0 <= e <= 1]:
        raise ValueError(f"--churn must lie in [0, 1], got {bad[0]}")
    if bad := [beta for beta in config.beta if not 0 < beta <= 2]:
        raise ValueError(f"--beta must lie in (0, 2], got {bad[0]}")
    if not (config.beta and config.churn and config.nfe):
        raise ValueError("--beta, --churn and --nfe need at least one value each")
    cli.require_at_least(
        config, 1, "seeds", "steps", "population", "batch", "width", "depth", "repeats", "save_every", "nfe"
    )
    cli.require_at_least(config, 2, "samples")
    if config.save_every % 100:
        raise ValueError(f"--save-every must be a multiple of 100, got {config.save_every}")
    if not 0 <= config.inject < config.depth:
        raise ValueError(f"--inject must name a hidden layer, 0 to {config.depth - 1}, got {config.inject}")
    if not (config.time_exponent > 0 and config.learning_rate > 0 and 0 <= config.ema_decay < 1):
        raise ValueError("--time-exponent and --learning-rate must be positive, --ema-decay in [0, 1)")


def run(config: Config) -> None:
    """Train, judge, write the report, print the table."""
    check(config)
    engine.start(config)
    from experiments import gaussian_run

    gaussian_run.run(config)


if __name__ == "__main__":
    cli.main(Config, run, presets=PRESETS)
