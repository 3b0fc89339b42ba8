"""The command."""

from ddjax import cli
from experiments.two_gaussians.settings import PRESETS, Config


def run(settings: Config) -> None:
    """Train, judge, write the report, print the table."""
    from experiments.two_gaussians import experiment

    experiment.run(settings)


if __name__ == "__main__":
    cli.main(Config, run, presets=PRESETS)
