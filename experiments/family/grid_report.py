"""Tables of chosen grids."""

from collections.abc import Mapping

import numpy as np

from ddjax import judging
from experiments.common import report
from experiments.common.figures import steps_of
from experiments.common.readings import LOWER
from experiments.common.report import Table
from experiments.family.grids import CHOSEN, Judged


def table(name: str, found: Mapping[int, Judged]) -> Table:
    """The error along the chosen grid and the usual ones by number of steps, and the grid."""
    kinds = [CHOSEN, *judging.USUAL]
    lines = [
        [steps_of(n), *(f"{np.mean(one.errors[kind]):.3f}" for kind in kinds), " ".join(f"{t:.3g}" for t in one.grid)]
        for n, one in found.items()
    ]
    return report.plain(
        f"{name}: mean W₁ of held-out seeds, by grid of sampling times", ["", *kinds, "times"], lines, LOWER
    )


def sentence(name: str, found: Mapping[int, Judged]) -> str:
    """Where a chosen grid is worse than one of the usual ones beyond the intervals of the held-out seeds, read together."""
    worse = []
    for n, one in found.items():
        for kind in judging.USUAL:
            apart = judging.paired(one.errors[CHOSEN], one.errors[kind], comparisons=len(found) * len(judging.USUAL))
            if apart.low > 0:
                worse.append(f"{steps_of(n)}: by {apart.value:.2g} than {kind}")
    seeds = len(next(iter(found.values())).errors[CHOSEN])
    told = "; ".join(worse) or f"not shown to be worse than a usual one anywhere, by {seeds} seeds"
    return f"{name}, chosen grids on held-out seeds: {told}"
