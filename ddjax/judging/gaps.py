"""Where a trained model lies between the best that a classical one can be and the truth."""

from collections.abc import Sequence

from ddjax.judging.numbers import Number


def gap_closed(
    numbers: Sequence[Number], metric: str, limit: str, *, deviations: float = 10.0
) -> dict[str, dict[int, float]]:
    """Where each trained model lies between the limit of classical models (0) and the floor (1), at equal steps and churn.

    The largest churn is taken, and what has none.

    Args:
        deviations: of the floor that the limit must be off for there to be a gap; fewer will do where values are means over many
            samples of the size that the floor was measured at.
    """
    churn = max((number.churn for number in numbers if number.churn is not None), default=None)
    chosen = [n for n in numbers if n.metric == metric and (n.churn in (None, churn) or n.nfe == 1)]
    limits = {
        n.nfe: n.value for n in chosen if n.model == limit and n.value - n.floor > deviations * (n.floor_std or 0.0)
    }
    shares: dict[str, dict[int, float]] = {}
    for n in chosen:
        if n.trained and n.nfe in limits:
            shares.setdefault(n.model, {})[n.nfe] = (limits[n.nfe] - n.value) / (limits[n.nfe] - n.floor)
    return shares
