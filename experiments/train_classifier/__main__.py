"""The command."""

from ddjax import cli
from experiments.train_classifier.settings import Config


def run(config: Config) -> None:
    """Load, train, judge, save."""
    from experiments.train_classifier import experiment

    experiment.run(config)


if __name__ == "__main__":
    cli.main(Config, run)
