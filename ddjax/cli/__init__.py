"""Command lines: typed settings as flags and YAML files, and a user's mistake as one line and exit code 2.

Nothing here imports jax, so that `--help` answers at once.
"""

from ddjax.cli.command_line import LOST, Stopped, main
from ddjax.cli.output import message, printed, shown
from ddjax.cli.parsing import parse
from ddjax.cli.settings import UserError

__all__ = ["LOST", "Stopped", "UserError", "main", "message", "parse", "printed", "shown"]
