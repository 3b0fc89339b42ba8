"""The command."""

from ddjax import cli
from experiments.three_views.settings import Config


def run(config: Config) -> None:
    """Walk, compare, draw, write."""
    from experiments.three_views import experiment

    experiment.run(config)


if __name__ == "__main__":
    cli.main(Config, run)
