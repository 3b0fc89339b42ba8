"""`python -m experiments.benchmark.coupling_solvers`, by its old name."""

from ddjax import cli
from experiments.benchmark.coupling_solvers import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
