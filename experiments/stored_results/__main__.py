"""The command."""

from ddjax import cli
from experiments.stored_results.settings import Config


def run(config: Config) -> None:
    """Read, write."""
    from experiments.stored_results import experiment

    experiment.run(config)


if __name__ == "__main__":
    cli.main(Config, run)
