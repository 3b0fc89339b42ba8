"""`python -m experiments.family.tuning`, by its old name."""

from ddjax import cli
from experiments.family.tuning import Config, run

if __name__ == "__main__":
    cli.main(Config, run, program="python -m experiments.family_tuning")
