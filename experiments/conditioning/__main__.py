"""The command."""

from ddjax import cli
from experiments.conditioning.settings import Config


def run(config: Config) -> None:
    """Measure, write, print."""
    from experiments.conditioning import experiment

    experiment.run(config)


if __name__ == "__main__":
    cli.main(Config, run)
