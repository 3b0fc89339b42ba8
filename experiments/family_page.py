"""`experiments.family.page` as a command."""

from ddjax import cli
from experiments.family.settings import Page as Config


def run(config: Config) -> None:
    """Run it."""
    from experiments.family import page

    page.run(config)


if __name__ == "__main__":
    cli.main(Config, run)
