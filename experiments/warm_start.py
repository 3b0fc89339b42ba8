"""`experiments.family.warm_start` as a command."""

from ddjax import cli
from experiments.family.settings import WarmStart as Config


def run(config: Config) -> None:
    """Run it."""
    from experiments.family import warm_start

    warm_start.run(config)


if __name__ == "__main__":
    cli.main(Config, run)
