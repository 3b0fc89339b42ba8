"""Draw samples from a saved run: `ddjax sample`, by its name in a checkout."""

from ddjax import cli
from ddjax.commands.sample import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
