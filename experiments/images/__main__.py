"""The command."""

from ddjax import cli
from experiments.common.images.settings import PRESETS
from experiments.images.settings import Config, presumed


def run(settings: Config) -> None:
    """Train, judge, write the report, print the tables."""
    from experiments.images import experiment

    experiment.run(settings)


if __name__ == "__main__":
    cli.main(Config, run, presets=PRESETS, presumed=presumed)
