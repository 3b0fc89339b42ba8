"""The command."""

from ddjax import cli
from experiments.inflation_inference.settings import Config


def run(config: Config) -> None:
    """Infer, calibrate, distort, write."""
    from experiments.inflation_inference import experiment

    experiment.run(config)


if __name__ == "__main__":
    cli.main(Config, run)
