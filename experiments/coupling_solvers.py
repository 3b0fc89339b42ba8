"""What a coupling costs: every solver side by side, on two moons against N(0, I), and inside a training step.

Solvers take turns in rounds, so that what else the machine does falls on all of them; times are medians over rounds.
"""

from dataclasses import dataclass

from experiments import cli


@dataclass(frozen=True)
class Config:
    """Print two Markdown tables: milliseconds and cost over the optimum for each solver and batch size, and
    milliseconds of a flow-matching step (MLP 3 x 128, AdamW) for each coupling."""

    n: tuple[int, ...] = (256, 512, 4096)
    """Batch sizes."""
    rounds: int = 15
    """Rounds at the smallest batch; fewer at larger ones, at least 3."""
    steps: int = 100
    """Training steps in one dispatch."""
    batch: int = 256
    """Batch size of the training step."""
    hungarian_up_to: int = 512
    """The largest batch that optax's Hungarian solver is given: it takes minutes beyond."""


def run(config: Config) -> None:
    """Measure and print."""
    if not config.n or min(*config.n, config.rounds, config.steps, config.batch) < 2:
        raise cli.UserError("--n, --rounds, --steps and --batch must be at least 2")
    from experiments.coupling_timing import solver_table, step_table

    for n in config.n:
        rounds = max(3, config.rounds * config.n[0] // n)
        print(solver_table(n, rounds, hungarian=n <= config.hungarian_up_to), flush=True)
    print(step_table(config.batch, config.steps, config.rounds))


if __name__ == "__main__":
    cli.main(Config, run)
