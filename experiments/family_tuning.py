"""`experiments.family.tuning` as a command."""

from ddjax import cli
from experiments.family.settings import Tuning as Config


def run(config: Config) -> None:
    """Run it."""
    from experiments.family import tuning

    tuning.run(config)


if __name__ == "__main__":
    cli.main(Config, run)
