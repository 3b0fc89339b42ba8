"""The command."""

from ddjax import cli
from experiments.conditional_ot.settings import PRESETS, Config


def run(settings: Config) -> None:
    """Train, judge, write the report, print the table."""
    from experiments.conditional_ot import experiment

    experiment.run(settings)


if __name__ == "__main__":
    cli.main(Config, run, presets=PRESETS)
