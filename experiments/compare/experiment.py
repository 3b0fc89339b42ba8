"""Two trained image models in different numbers of steps."""

import time

from experiments.common import study
from experiments.common.images import evaluate as image_judges
from experiments.common.images import spaces as image_spaces
from experiments.common.images import trained as trained_images
from experiments.compare import intervals
from experiments.compare.intervals import Comparison
from experiments.compare.settings import Config


def run(config: Config) -> None:
    """Load, draw, compare, write, print."""
    began = time.monotonic()
    models = [trained_images.load(config.run, name) for name in (config.model, config.beside)]
    train, held_out = trained_images.splits(config.run, config.samples)
    folder = study.folder(config, "compare")
    judges = image_spaces.of(train, held_out)
    features = {}
    for place, (model, steps) in enumerate(zip(models, (config.steps, config.beside_steps), strict=True)):
        for n in steps:
            x = trained_images.drawn(model, train, n, config.samples, seed=2027 + place)
            features[place, n] = [image_judges.in_chunks(where.features, x) for where in judges.spaces]
    found: list[Comparison] = []
    together = len(judges.spaces) * len(config.steps) * len(config.beside_steps)
    for i, where in enumerate(judges.spaces):
        for a in config.steps:
            for b in config.beside_steps:
                how = {"resamples": config.resamples, "comparisons": together}
                apart = intervals.difference(where, features[0, a][i], features[1, b][i], **how)
                found.append(intervals.Comparison(where.name, models[0].job, a, models[1].job, b, apart))
    study.write(folder, "compare", config, intervals.findings(found), began)
