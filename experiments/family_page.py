"""`python -m experiments.family.page`, by its old name."""

from ddjax import cli
from experiments.family.page import Config, run

if __name__ == "__main__":
    cli.main(Config, run, program="python -m experiments.family_page")
