"""The command."""

from ddjax import cli
from experiments.forecast.settings import Config


def run(config: Config) -> None:
    """Simulate, score, write, print."""
    from experiments.forecast import experiment

    experiment.run(config)


if __name__ == "__main__":
    cli.main(Config, run)
