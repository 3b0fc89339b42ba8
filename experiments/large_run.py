"""`python -m experiments.benchmark.large_run`, by its old name."""

from ddjax import cli
from experiments.benchmark.large_run import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
