"""The command."""

from ddjax import cli
from experiments.dispersion.settings import Config


def run(config: Config) -> None:
    """Train each pair, print the table."""
    from experiments.dispersion import experiment

    experiment.run(config)


if __name__ == "__main__":
    cli.main(Config, run)
