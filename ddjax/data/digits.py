"""Handwritten digits that come with scikit-learn: 1,797 images of 8 x 8, the default where nothing may be downloaded.

Not MNIST: these are the test half of another collection (Alpaydin and Kaynak, 1998), 13 writers, grey levels 0..16.

References: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository,
doi 10.24432/C50P49 (CC BY 4.0).
"""

from typing import Any

import numpy as np

from ddjax.data.images import Images, Split, held_out

DIGITS = tuple("0123456789")
ATTRIBUTION = "Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI (CC BY 4.0)"


def digits(split: Split = "train", *, seed: int = 0) -> Images:
    """1,437 digits to train and 360 to test (every fifth of each class in the seed's order); 0..16 becomes 0..255."""
    from sklearn.datasets import load_digits

    found: Any = load_digits()
    rows = held_out(found.target, split, every=5, seed=seed)
    x = np.round(found.images[rows, :, :, None] * (255 / 16)).astype(np.uint8)
    return Images(x, found.target[rows].astype(np.int32), DIGITS, split, "digits", attribution=ATTRIBUTION)
