"""The suites: each a function `run(plan) -> part`, a part being plain rows for the results file."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Plan(NamedTuple):
    """How much to run: rounds of every race, whether to take small sizes only, and what a suite under a budget needs.

    `budget` is in seconds; `keep` stores the part as it is so far, so that what was measured survives an end.
    """

    rounds: int
    short: bool
    budget: float = 300.0
    keep: Callable[[dict[str, Any]], Any] = lambda part: None
