"""Every objective of score matching beside the exact score."""

import time

from experiments.common import study
from experiments.score_matching import evaluate as score_judges
from experiments.score_matching import report as score_pages
from experiments.score_matching.settings import Config


def run(config: Config) -> None:
    """Measure, train, write, print."""
    began = time.monotonic()
    folder = study.folder(config, "score_matching")
    estimates = score_judges.estimates(config.n)
    costs = score_judges.costs(config.batch, config.width, config.rounds)
    errors = {}
    for name in score_judges.OBJECTIVES:
        errors[name] = score_judges.trained_errors(
            name,
            steps=config.steps,
            batch=config.batch,
            seeds=config.seeds,
            width=config.width,
            learning_rate=config.learning_rate,
            n=config.n,
        )
        print(f"trained by {name}: {time.monotonic() - began:.0f} s", flush=True)
    found = score_pages.findings(estimates, costs, errors)
    study.write(folder, "score_matching", config, found, began)
    worst = max(abs(row.bias) / row.error for row in estimates.values())
    if worst > 4:
        raise SystemExit(f"error: an objective is biased by {worst:.1f} standard errors, more than 4")
