"""The command."""

from ddjax import cli
from experiments.compare.settings import Config


def run(config: Config) -> None:
    """Load, draw, compare, write, print."""
    from experiments.compare import experiment

    experiment.run(config)


if __name__ == "__main__":
    cli.main(Config, run)
