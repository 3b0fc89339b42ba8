"""Every objective of score matching on one target whose score is known: bias, variance, cost, and what training reaches.

The target is a skewed mixture in 3-D, so that no sign hides. At one noise level each objective is estimated for a score that is
wrong on purpose, and compared with the exact value; then the same network is trained by each for equal steps, and its score
compared with the exact one at every noise level.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated

from ddjax import cli
from ddjax.cli.settings import Count, Positive, Range, Seeds
from experiments.common import study
from experiments.common.study import Study
from experiments.lazy import score_judges, score_pages


@dataclass(frozen=True)
class Config(Study):
    """Compare explicit, implicit, sliced and denoising score matching on a mixture whose score is known.

    Explicit is regression on the true score, which only a known target has. Implicit trades it for a divergence (the exact
    trace, or Hutchinson's from one probe), sliced for random directions, denoising for pairs of data and noisy data; the last
    needs no derivative of the network, and comes with a weight of the noise levels. One table: bias of each objective with its
    standard error, standard deviation of one example's value and of its derivative, milliseconds of a loss with its gradient,
    and E|s - s*|^2 / E|s*|^2 of the trained network by noise level. Exits 1 if a bias exceeds 4 standard errors.

    Example: python -m experiments.score_matching --steps 500
    """

    n: Annotated[int, Range(100)] = 50_000
    """Points behind each bias and each score error; the exact values have 8 times as many."""
    steps: Count = 2000
    """Training steps of each objective."""
    batch: Count = 256
    """Examples for each training step."""
    seeds: Seeds = 2
    """Trainings of each objective; the table gives means, summary.json ranges too."""
    width: Count = 64
    """Width of the network, an MLP of 3 hidden layers that predicts the noise."""
    learning_rate: Positive = 2e-3
    """Rate of Adam at the start, which falls to 0 along a cosine."""
    rounds: Annotated[int, Range(2)] = 40
    """Rounds in which every objective is timed once, in turns; the quickest counts."""

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once: points, and the activations of a batch with three derivatives."""
        return {("n",): 24 * self.n, ("batch", "width"): 12 * self.batch * self.width}


def run(config: Config) -> None:
    """Measure, train, write, print."""
    began = time.monotonic()
    folder = study.folder(config, "score_matching")
    estimates = score_judges.estimates(config.n)
    costs = score_judges.costs(config.batch, config.width, config.rounds)
    errors = {}
    for name in score_judges.OBJECTIVES:
        errors[name] = score_judges.trained_errors(
            name,
            steps=config.steps,
            batch=config.batch,
            seeds=config.seeds,
            width=config.width,
            learning_rate=config.learning_rate,
            n=config.n,
        )
        print(f"trained by {name}: {time.monotonic() - began:.0f} s", flush=True)
    found = score_pages.findings(estimates, costs, errors)
    study.write(folder, "score_matching", config, found, began)
    worst = max(abs(row.bias) / row.error for row in estimates.values())
    if worst > 4:
        raise SystemExit(f"error: an objective is biased by {worst:.1f} standard errors, more than 4")


if __name__ == "__main__":
    cli.main(Config, run)
