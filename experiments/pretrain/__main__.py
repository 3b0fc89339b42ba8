"""The command."""

from ddjax import cli
from experiments.pretrain.settings import Config


def run(config: Config) -> None:
    """Put, tell."""
    from experiments.pretrain import experiment

    experiment.run(config)


if __name__ == "__main__":
    cli.main(Config, run)
