"""Measured numbers: what one is, how draws become one, and tables of them."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from tabulate import tabulate

from ddjax.cli import shown


@dataclass(frozen=True)
class Number:
    """One measured number: the median over seeds of the mean over draws, the range of the draws, and the floor.

    `churn` is None where no bridge is sampled, `floor_std` where there is only one true pair of samples. `by_seed` are the means
    over draws, of which value is the median. `trained` is False for what has no parameters, an oracle for instance.
    """

    model: str
    metric: str
    nfe: int
    churn: float | None
    value: float
    low: float
    high: float
    seeds: int
    draws: int
    floor: float
    floor_std: float | None
    by_seed: Sequence[float] = ()
    trained: bool = True

    def row(self) -> dict:
        """As a row of summary.json."""
        return asdict(self)


def measured(
    model: str,
    metric: str,
    nfe: int,
    draws: np.ndarray,
    floor: tuple[float, float | None],
    *,
    churn: float | None = None,
    trained: bool = True,
) -> Number:
    """A Number from draws [seeds, repeats] and the floor (mean, standard deviation or None)."""
    draws = np.asarray(draws, float)
    means, spread = draws.mean(1), (float(draws.min()), float(draws.max()))
    return Number(
        model,
        metric,
        nfe,
        churn,
        float(np.median(means)),
        *spread,
        len(draws),
        draws.size,
        *floor,
        tuple(means.tolist()),
        trained,
    )


def has_churn(numbers: Sequence[Number]) -> bool:
    """Whether any of the numbers comes from a bridge sampler."""
    return any(number.churn is not None for number in numbers)


def rows(numbers: Sequence[Number]) -> Iterator[tuple[list[str], dict[int, Number]]]:
    """The rows of a table of one metric: ([model, churn if any], {steps: number})."""
    for model in dict.fromkeys(number.model for number in numbers):
        of_model = [number for number in numbers if number.model == model]
        for e in sorted({number.churn for number in of_model}, key=lambda e: e or 0.0):
            # one step has no churn: its number belongs to every row
            cells = {number.nfe: number for number in of_model if number.churn == e or number.nfe == 1}
            yield [model, *([] if not has_churn(numbers) else [f"{e:g}" if e is not None else ""])], cells


def told_floor(number: Number) -> str:
    """The floor in words."""
    return f"{number.floor:.2g}" if number.floor_std is None else f"{number.floor:.1e} +- {number.floor_std:.1e}"


def heads(numbers: Sequence[Number]) -> list[str]:
    """The first row of a table of one metric."""
    steps = sorted({number.nfe for number in numbers})
    return ["model", *["churn"] * has_churn(numbers), *(f"{n} step{'s' * (n > 1)}" for n in steps)]


def table(numbers: Sequence[Number], metric: str) -> str:
    """A Markdown table of one metric, models by steps."""
    chosen = [number for number in numbers if number.metric == metric]
    steps = sorted({number.nfe for number in chosen})
    lines = [[*names, *(f"{cells[n].value:.2g}" if n in cells else "" for n in steps)] for names, cells in rows(chosen)]
    return f"{markdown(heads(chosen), lines)}\n\nfloor {told_floor(chosen[0])}"


def markdown(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Words and numbers, as they are, in a Markdown table."""
    return tabulate(
        [[shown(cell) for cell in line] for line in lines],
        [*map(shown, heads)],
        tablefmt="github",
        disable_numparse=True,
    )
