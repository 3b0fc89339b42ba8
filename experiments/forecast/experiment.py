"""What scoring rules see of a wrong ensemble forecast."""

import time

from experiments.common import study
from experiments.forecast import evaluate as forecast_judges
from experiments.forecast import report as forecast_pages
from experiments.forecast.settings import Config


def run(config: Config) -> None:
    """Simulate, score, write, print."""
    began = time.monotonic()
    folder = study.folder(config, "forecast")
    excesses = forecast_judges.excesses(config.n, config.members)
    study.write(folder, "forecast", config, forecast_pages.findings(excesses), began)
    worst = max(abs(forecast_pages.errors(row[forecast_judges.TRUE])) for row in excesses.values())
    if worst > 4:
        raise SystemExit(f"error: the true law differs from itself by {worst:.1f} standard errors, more than 4")
