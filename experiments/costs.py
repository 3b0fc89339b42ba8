"""`python -m experiments.benchmark.costs`, by its old name."""

from ddjax import cli
from experiments.benchmark.costs import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
