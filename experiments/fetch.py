"""Download a public set of images: `ddjax fetch`, by its name in a checkout."""

from ddjax import cli
from ddjax.commands.fetch import Config, run

if __name__ == "__main__":
    cli.main(Config, run)
