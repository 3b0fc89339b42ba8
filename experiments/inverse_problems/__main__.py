"""The command."""

from ddjax import cli
from experiments.inverse_problems.settings import Config


def run(settings: Config) -> None:
    """Train, judge, write the report, print the tables."""
    from experiments.inverse_problems import experiment

    experiment.run(settings)


if __name__ == "__main__":
    cli.main(Config, run)
