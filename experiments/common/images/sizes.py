"""Whether there is enough of what is compared: a metric of too few samples says little, and a report has to say so."""

from collections.abc import Mapping

FEW = 100


def too_few(n: int, dimensions: Mapping[str, int], what: str = "held-out images", *, shares: bool = True) -> list[str]:
    """A sentence for each reason not to trust metrics on n samples, of which the smaller of two sets counts.

    Args:
        dimensions: of each space in which a Fréchet distance is taken: it fits a covariance, which has rank n - 1 at most.
        shares: whether neighbours or right answers are counted too.
    """
    told = [
        f"{n} {what} are too few for a Fréchet distance in {d} dimensions ({name}): the covariance fitted to them is singular, and "
        "the distance says more about their number than about the samples"
        for name, d in dimensions.items()
        if n <= d
    ]
    if shares and n < FEW:
        told.append(
            f"{n} {what} are few for shares of neighbours and for accuracy: one image moves them by {100 / n:.2g} points of percent"
        )
    return told
