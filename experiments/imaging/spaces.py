"""The spaces in which images are compared: their pixels, and the features of a classifier of the same data."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Array

from ddjax.data import Images
from experiments.imaging import classifiers, judging

PROTOCOL = (
    "{n} samples against the {test} held-out images; pixels in [-1, 1] and the 128 features of a classifier trained on the "
    "training images (experiments.train_classifier), no resize; parameters averaged with decay {ema}; the floor is the "
    "training set in the place of the samples"
)


def of(train: Images, test: Images) -> tuple[list[judging.Space], Callable[[Array], np.ndarray] | None]:
    """Pixels always; features and classes where the images have labels to learn them from."""
    found = [judging.space("pixels", judging.pixels, train, test)]
    if train.labels is None:
        return found, None
    classifier = classifiers.trained(train, test)
    return [*found, judging.space("features", classifier.features, train, test)], classifier.classes
