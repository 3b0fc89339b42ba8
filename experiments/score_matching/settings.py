"""Settings."""

from dataclasses import dataclass
from typing import Annotated

from ddjax.cli.settings import Count, Positive, Range, Seeds
from experiments.common.settings import Study


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
