"""`python -m experiments.family.warm_start`, by its old name."""

from ddjax import cli
from experiments.family.warm_start import Config, run

if __name__ == "__main__":
    cli.main(Config, run, program="python -m experiments.warm_start")
