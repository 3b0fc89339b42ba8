"""What scoring rules see of an ensemble forecast: wrong correlations, spread, place and scale, against the law that is true."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated

from ddjax import cli
from ddjax.cli.settings import Range
from experiments.common import study
from experiments.common.study import Study
from experiments.lazy import forecast_judges, forecast_pages


@dataclass(frozen=True)
class Config(Study):
    """Score ensembles of a tracer that winds carry over a torus, whose law is known, by rules of pixels, patches and maps.

    Beside draws of the true law, which the observation is one of: draws of independent pixels, draws shuffled at each place,
    too narrow, displaced by a biased wind, and smoothed. One table: the excess of each rule's score over that of the true
    law in standard errors. Exits 1 if fresh draws of the true law differ by more than 4.

    Example: python -m experiments.forecast --members 8
    """

    n: Annotated[int, Range(100)] = 400
    """Forecasts, each with an analysis and an observation of its own."""
    members: Annotated[int, Range(2)] = 8
    """Draws of each ensemble."""

    def floats(self) -> dict[tuple[str, ...], int | float]:
        """Numbers in memory at once: seven ensembles of 16 x 16 pixels, the differences of one rule, fields of single pixels."""
        return {("n", "members"): 256 * 24 * self.n * self.members, ("members",): 256 * 256 * 8 * self.members}


def run(config: Config) -> None:
    """Simulate, score, write, print."""
    began = time.monotonic()
    folder = study.folder(config, "forecast")
    excesses = forecast_judges.excesses(config.n, config.members)
    study.write(folder, "forecast", config, forecast_pages.findings(excesses), began)
    worst = max(abs(forecast_pages.errors(row[forecast_judges.TRUE])) for row in excesses.values())
    if worst > 4:
        raise SystemExit(f"error: the true law differs from itself by {worst:.1f} standard errors, more than 4")


if __name__ == "__main__":
    cli.main(Config, run)
