"""The command."""

from ddjax import cli
from experiments.family.settings import SHORT, Config


def run(settings: Config) -> None:
    """Train, judge, write the report, print the tables."""
    from experiments.family import experiment

    experiment.run(settings)


if __name__ == "__main__":
    cli.main(Config, run, presets=SHORT)
