"""The command."""

from ddjax import cli
from experiments.score_matching.settings import Config


def run(config: Config) -> None:
    """Measure, train, write, print."""
    from experiments.score_matching import experiment

    experiment.run(config)


if __name__ == "__main__":
    cli.main(Config, run)
