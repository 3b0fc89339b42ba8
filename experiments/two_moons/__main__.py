"""The command."""

from ddjax import cli
from experiments.two_moons.settings import Config


def run(settings: Config) -> None:
    """Train, judge, write the report, print the tables."""
    from experiments.two_moons import experiment

    experiment.run(settings)


if __name__ == "__main__":
    cli.main(Config, run)
