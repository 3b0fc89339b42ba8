"""The suites: each a function `run(plan) -> part`, a part being plain rows for the results file."""

from typing import NamedTuple


class Plan(NamedTuple):
    """How much to run: rounds of every race, and whether to take small sizes only."""

    rounds: int
    short: bool
