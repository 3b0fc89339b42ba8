"""The self-contained HTML page of a run."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from ddjax.judging import Number, heads, rows, told_floor


class Cell(NamedTuple):
    """A cell of a table, and the small print below it."""

    text: str
    small: str = ""


class Table(NamedTuple):
    """A table of the page."""

    title: str
    heads: Sequence[str]
    lines: Sequence[Sequence[Cell]]
    note: str = ""


def of_numbers(numbers: Sequence[Number], title: str) -> Table:
    """One metric, models by steps: values with the range of their draws, and the floor."""
    steps = sorted({number.nfe for number in numbers})
    lines = [[*map(Cell, names), *(_cell(cells.get(n)) for n in steps)] for names, cells in rows(numbers)]
    what = "training against held-out data" if numbers[0].floor_std is None else "two fresh samples of the truth"
    return Table(title, heads(numbers), lines, f"floor {told_floor(numbers[0])} ({what})")


def plain(title: str, heads: Sequence[str], lines: Sequence[Sequence[str]]) -> Table:
    """Words and numbers as they are."""
    return Table(title, heads, [[Cell(word) for word in line] for line in lines])


def page(
    folder: Path,
    summary: dict[str, Any],
    tables: Sequence[Table],
    captions: dict[str, str],
    notes: Sequence[str],
    small: str,
) -> str:
    """The page: what was run and where, notes, tables, small print, the figures of `folder` that exist, the settings.

    Args:
        captions: of the figures (PNG or GIF), by name of the file, in their order.
    """
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True)
    return environment.get_template("page.html.jinja").render(
        title=summary["experiment"].replace("_", " "),
        provenance=" · ".join(f"{key}: {value}" for key, value in summary["provenance"].items()),
        notes=notes,
        tables=tables,
        small=small,
        figures=[_figure(folder / name, caption) for name, caption in captions.items() if (folder / name).exists()],
        settings="\n".join(f"{key}: {value}" for key, value in summary["settings"].items()),
    )


def _cell(number: Number | None) -> Cell:
    return Cell("") if number is None else Cell(f"{number.value:.2g}", f"[{number.low:.2g}, {number.high:.2g}]")


def _figure(path: Path, caption: str) -> dict[str, str]:
    return {"caption": caption, "kind": path.suffix[1:], "data": base64.b64encode(path.read_bytes()).decode()}
