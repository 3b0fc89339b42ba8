"""The command."""

from ddjax import cli
from experiments.ot_loss.settings import Config


def run(settings: Config) -> None:
    """Train, judge, write the report, print the tables."""
    from experiments.ot_loss import experiment

    experiment.run(settings)


if __name__ == "__main__":
    cli.main(Config, run)
