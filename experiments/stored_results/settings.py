"""Settings."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Write the table of stored runs that an older version measured in another way than their commands do now.

    A stored file says so itself, as `command_now` of its provenance, and a file of a new run no longer does.

    Example: python -m experiments.stored_results
    """
