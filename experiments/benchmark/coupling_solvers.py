"""What a coupling costs: every solver side by side, on two moons against N(0, I), and inside a training step.

Solvers take turns in rounds, so that what else the machine does falls on all of them; times are medians over rounds.
"""

from dataclasses import dataclass
from typing import Annotated

from ddjax.cli.settings import Range


@dataclass(frozen=True)
class Config:
    """Print two Markdown tables: milliseconds and cost over the optimum for each solver and batch size, and
    milliseconds of a flow-matching step (MLP 3 x 128, AdamW) for each coupling.

    Example: python -m experiments.coupling_solvers --n 64 128
    """

    n: tuple[Annotated[int, Range(2)], ...] = (256, 512, 4096)
    """Batch sizes."""
    rounds: Annotated[int, Range(2)] = 15
    """Rounds at the smallest batch; fewer at larger ones, at least 3."""
    steps: Annotated[int, Range(2)] = 100
    """Training steps in one dispatch."""
    batch: Annotated[int, Range(2)] = 256
    """Batch size of the training step."""
    hungarian_up_to: Annotated[int, Range(0)] = 512
    """The largest batch that optax's Hungarian solver is given: it takes minutes beyond."""

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers that must be in memory at once: a cost matrix."""
        return {("n",): max(self.n) ** 2, ("batch",): self.batch**2}


def run(config: Config) -> None:
    """Measure and print."""
    from experiments.benchmark.coupling_timing import solver_table, step_table

    for n in config.n:
        rounds = max(3, config.rounds * config.n[0] // n)
        print(solver_table(n, rounds, hungarian=n <= config.hungarian_up_to), flush=True)
    print(step_table(config.batch, config.steps, config.rounds))
