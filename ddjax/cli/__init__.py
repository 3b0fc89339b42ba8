"""Command lines: typed settings as flags and YAML files, and a user's mistake as one line and exit code 2.

Nothing here imports jax, so that `--help` answers at once.
"""

from ddjax.cli.command_line import LOST, SWITCH, TERMINATED, Stopped, main, parse
from ddjax.cli.settings import UserError

__all__ = ["LOST", "SWITCH", "TERMINATED", "Stopped", "UserError", "main", "parse"]
