"""Distributional diffusion on the paper's two Gaussians, beside regression and both exact oracles.

Paper: De Bortoli et al., "Distributional Diffusion Models with Scoring Rules", arXiv 2502.02483, section 5.1.
Expected with the defaults: MMD^2 (RBF, bandwidth 1, U-statistic, n = 10,000) below 5e-3 at 1 step and 1e-3 at 4 steps.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from experiments import cli, engine
from experiments.settings import (
    Count,
    Decay,
    Depth,
    Exponent,
    FileToRead,
    Fraction,
    Multiple,
    NonNegative,
    Positive,
    Range,
    Seeds,
    Steps,
)


@dataclass(frozen=True)
class Config(engine.Engine):
    """Train distributional diffusion (DDM) and x_0 regression on two Gaussians, judge both at 1 to 32 steps.

    Writes config.yaml, metrics.jsonl, summary.json, figures, report.html and checkpoints into --out.
    """

    seeds: Seeds = 1
    """Number of seeds, 0 to seeds - 1; tables give medians and ranges over them."""
    steps: Count = 3000
    """Training steps of each model."""
    population: Count = 8
    """Draws m for each example in the loss; at least 2 when lam > 0."""
    beta: tuple[Exponent, ...] = (1.0,)
    """Exponents of the energy score; one model for each."""
    lam: NonNegative = 1.0
    """Weight of the interaction: 1 is the proper rule, below 1 the spread shrinks."""
    churn: tuple[Fraction, ...] = (0.0, 1.0)
    """Noise of the bridge sampler: 0 is DDIM, 1 is DDPM."""
    nfe: tuple[Steps, ...] = (1, 2, 4, 8, 16, 32)
    """Numbers of sampling steps to judge."""
    batch: Count = 512
    """Examples for each training step."""
    width: Count = 128
    """Width of the hidden layers."""
    depth: Depth = 4
    """Number of hidden layers."""
    inject: Annotated[int, Range(0)] = 1
    """Hidden layer that xi joins: 0 is the input (the paper's), later ones share more over the population."""
    predicts: Literal["x0", "velocity"] = "velocity"
    """What the networks output; the score is taken of x_0 either way."""
    weight: Literal["uniform", "sigmoid"] = "uniform"
    """w(t) of the loss: sigmoid is sigmoid(logsnr), which starves the noise end and so the first steps."""
    time_exponent: Positive = 0.7
    """Training times are u^exponent: below 1 favours the noise end, where few-step sampling lives."""
    learning_rate: Positive = 5e-3
    """Peak rate of Adam, after a warm-up and before a cosine decay to 1 percent."""
    ema_decay: Decay = 0.999
    """Decay of the averaged parameters that are sampled from."""
    samples: Annotated[int, Range(2)] = 10_000
    """Points for each measured distance."""
    repeats: Count = 2
    """Fresh draws for each seed behind each number."""
    save_every: Annotated[int, Multiple(100)] = 1000
    """Training steps between checkpoints."""
    full: bool = False
    """The full protocol: beta .1, .5, 1 and 1.5, three seeds, 4,000 steps (explicit flags still win)."""
    config: FileToRead | None = None
    """A YAML file of settings named as the flags; the command line wins over it."""

    def check(self) -> None:
        """Raises: UserError for settings that do not go together."""
        if self.population < 2 and self.lam > 0:
            raise cli.UserError(f"--population must be at least 2 when lam > 0, got {self.population}")
        if self.inject >= self.depth:
            raise cli.UserError(f"--inject must name a hidden layer, 0 to {self.depth - 1}, got {self.inject}")

    def floats(self) -> dict[tuple[str, ...], float]:
        """Numbers that must be in memory at once."""
        return engine.floats(self) | {("samples",): 4 * self.samples}


PRESETS = {"full": {"beta": (0.1, 0.5, 1.0, 1.5), "seeds": 3, "steps": 4000}}


def run(config: Config) -> None:
    """Train, judge, write the report, print the table."""
    engine.start(config)
    from experiments import gaussian_run

    gaussian_run.run(config)


if __name__ == "__main__":
    cli.main(Config, run, presets=PRESETS)
