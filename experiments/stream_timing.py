"""`python -m experiments.benchmark.stream_timing`, by its old name."""

from ddjax import cli
from experiments.benchmark.stream_timing import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
