"""The command."""

from ddjax import cli
from experiments.anisotropic_flow.settings import Config


def run(config: Config) -> None:
    """Train, compare, write."""
    from experiments.anisotropic_flow import experiment

    experiment.run(config)


if __name__ == "__main__":
    cli.main(Config, run)
