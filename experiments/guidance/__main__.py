"""The command."""

from ddjax import cli
from experiments.guidance.settings import Config


def run(config: Config) -> None:
    """Load, sample every way, judge, write, print."""
    from experiments.guidance import experiment

    experiment.run(config)


if __name__ == "__main__":
    cli.main(Config, run)
