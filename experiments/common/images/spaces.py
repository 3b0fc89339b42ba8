"""The spaces in which images are compared: their pixels, and the features of a classifier of the same data."""

import hashlib
from pathlib import Path

import numpy as np

from ddjax import metrics
from ddjax.data import Images
from ddjax.runs import classifiers
from experiments.common.images import evaluate as judging
from experiments.common.images import sizes

PROTOCOL = (
    "{n} samples against {test} held-out images; pixels in [-1, 1] and the 128 features of a classifier trained on the "
    "training images (experiments.train_classifier), no resize; parameters averaged with decay {ema}; the floor is as "
    "many of the {all} training images ({train}) in the place of the samples. FID, where shown: Inception of 2015, "
    "299 x 299 bilinear without smoothing, samples as bytes against the training images; its floor is the held-out images"
)


STATISTICS = Path("runs/statistics")


def of(train: Images, test: Images, inception: Path | None = None) -> judging.Judges:
    """Pixels always; features and classes where the images have several to learn them from; FID where weights are given."""
    found = [judging.space("pixels", judging.pixels, train, test)]
    classify = None
    if len(train.classes) > 1:
        classifier = classifiers.trained(train, test)
        found.append(judging.space("features", classifier.features, train, test))
        classify = classifier.classes
    return judging.Judges(found, classify, fid(train, inception) if inception else None)


def too_few(judges: judging.Judges, samples: int) -> list[str]:
    """Sentences on sets too small for what is measured on them."""
    dimensions = {where.name: where.test.shape[1] for where in judges.spaces}
    told = sizes.too_few(len(judges.spaces[0].test), dimensions)
    return told or sizes.too_few(samples, dimensions, "samples")


def fid(train: Images, weights: Path) -> tuple[judging.Features, metrics.Statistics]:
    """Inception's features, and their statistics over the training set, kept under the hashes of both.

    Raises: ValueError or OSError for a file that is not that of the FID network.
    """
    from ddjax.networks import inception

    params = inception.load(weights)
    features = lambda x: np.asarray(inception.features(params, (x + 1) / 2))  # noqa: E731
    with weights.open("rb") as file:
        network = hashlib.file_digest(file, "sha256").hexdigest()
    name = f"{train.digest[:32]}-train-inception-{network[:32]}-299-bilinear"
    return features, metrics.cached_statistics(STATISTICS, name, lambda: judging.by_chunks(features, train.x))
