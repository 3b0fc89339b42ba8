"""The command."""

from ddjax import cli
from experiments.traps.settings import Config


def run(config: Config) -> None:
    """Measure and print."""
    from experiments.traps import experiment

    experiment.run(config)


if __name__ == "__main__":
    cli.main(Config, run)
