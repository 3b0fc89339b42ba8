"""The table of `experiments.forecast`."""

from typing import Any

from experiments.common import report
from experiments.common.runner import Findings
from experiments.forecast.evaluate import ENSEMBLES, TRUE

HEADS = ("rule", f"{TRUE}, again", *ENSEMBLES[1:])
SEEN, ROUNDING = 4.0, 1e-6
NOTE = (
    "Mean excess of a score over that of the true law, in its standard errors; bold where the rule sees the mistake, at "
    f"{SEEN:g} or more. What is below a millionth of the score is rounding, and 0."
)


def errors(excess: Any) -> float:
    """(mean, standard error, score) as standard errors."""
    mean, error, score = excess
    return 0.0 if abs(mean) < ROUNDING * score else mean / error


def lines(excesses: dict[str, Any]) -> list[list[str]]:
    """A row of words for each rule, from numbers or from the same in JSON."""
    return [[name, *(_told(errors(row[ensemble])) for ensemble in ENSEMBLES)] for name, row in excesses.items()]


def _told(value: float) -> str:
    return f"**{value:.1f}**" if value >= SEEN else f"{value:.1f}"


def verdict(excesses: dict[str, Any]) -> str:
    """Which rules see every mistake, and which the fewest."""
    wrong = ENSEMBLES[1:]
    seen = {name: sum(errors(row[ensemble]) >= SEEN for ensemble in wrong) for name, row in excesses.items()}
    every = [name for name, n in seen.items() if n == len(wrong)]
    least = min(seen, key=seen.get)
    told = f"{len(every)} of {len(seen)} rules see all {len(wrong)} mistakes" + f" ({', '.join(every)})" * bool(every)
    return f"{told}; the fewest, {seen[least]}, {least}"


def findings(excesses: dict[str, Any]) -> Findings:
    """All that the runner writes and prints."""
    better = "higher sees more; of the true law, closer to 0"
    table = report.plain("What scoring rules see", HEADS, lines(excesses), better)
    summary = {"excesses": {name: {k: list(v) for k, v in row.items()} for name, row in excesses.items()}}
    return Findings(
        numbers=[],
        titles={},
        interval="standard errors over forecasts",
        summary=summary,
        notes=[NOTE],
        tables=[table],
        verdict=verdict(excesses),
    )
