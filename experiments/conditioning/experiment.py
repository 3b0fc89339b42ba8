"""Conditioning on a measurement where the posterior is known."""

import time

from experiments.common import conditioning as conditioning_judges
from experiments.common import conditioning_report as conditioning_pages
from experiments.common import study
from experiments.conditioning.settings import Config


def run(config: Config) -> None:
    """Measure, write, print."""
    began = time.monotonic()
    folder = study.folder(config, "conditioning")
    of = conditioning_judges.ways(config.draws, config.few)
    found = conditioning_judges.measured(of, config.n, config.repeats)
    floor = conditioning_judges.floor(config.n, 4 * config.repeats)
    effective = conditioning_judges.effective(config.draws, 1000)
    study.write(folder, "conditioning", config, conditioning_pages.findings(found, floor, effective, config.n), began)
