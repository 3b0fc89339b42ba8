"""Export a trained model of a saved run: `ddjax export`, by its name in a checkout."""

from ddjax import cli
from ddjax.commands.export import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
