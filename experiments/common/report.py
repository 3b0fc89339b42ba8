"""The self-contained HTML page of a run: what came out, the key figure and table, the other figures, the other tables."""

import base64
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from ddjax.judging import Number, heads, rows
from experiments.common import readings, terms

ARROWS = {readings.LOWER: "↓ ", readings.HIGHER: "↑ "}


class Cell(NamedTuple):
    """A cell of a table, and the small print below it."""

    text: str
    small: str = ""

    @property
    def told(self) -> str:
        """The cell in one word where there is no small print, as on a terminal: of what is at the floor the number."""
        return self.small if self.text == readings.AT_FLOOR else self.text


class Table(NamedTuple):
    """A table of the page, and which way its numbers get better."""

    title: str
    heads: Sequence[str]
    lines: Sequence[Sequence[Cell]]
    note: str = ""
    better: str = ""


class Told(NamedTuple):
    """The sentences of a page: what came out, what to beware of, what else to know, and the small print below tables."""

    verdict: str = ""
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()
    small: str = ""


def of_numbers(numbers: Sequence[Number], title: str) -> Table:
    """One metric, models by steps: values with the range of their draws, and the floor."""
    steps = sorted({number.nfe for number in numbers})
    lines = [[*map(Cell, names), *(_cell(cells.get(n)) for n in steps)] for names, cells in rows(numbers)]
    what = "training against held-out data" if numbers[0].floor_std is None else "two fresh samples of the truth"
    spread = "" if numbers[0].floor_std is None else f" ± {numbers[0].floor_std:.2g}"
    note = f"floor {numbers[0].floor:.2g}{spread} ({what})"
    return Table(title, heads(numbers), lines, note, readings.better(numbers[0].metric))


def plain(title: str, heads: Sequence[str], lines: Sequence[Sequence[str | Cell]], better: str = "") -> Table:
    """Words and numbers as they are, and which way they get better."""
    return Table(
        title,
        heads,
        [[Cell(word) if isinstance(word, str) else word for word in line] for line in lines],
        better=better,
    )


def floored(number: Number, text: str) -> Cell:
    """A number in words of its own, below the words that it is at the floor where it is."""
    return Cell(readings.AT_FLOOR, text) if readings.at_floor(number) else Cell(text)


def page(folder: Path, summary: dict[str, Any], tables: Sequence[Table], captions: dict[str, str], told: Told) -> str:
    """The page; of the figures in `folder` those that exist, the first beside the first table.

    Args:
        captions: of the figures (PNG or GIF), by name of the file, in their order.
    """
    figures = [_figure(folder / name, caption) for name, caption in captions.items() if (folder / name).exists()]
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True)
    return environment.get_template("page.html.jinja").render(
        title=summary["experiment"].replace("_", " "),
        provenance=summary["provenance"],
        told=told,
        tables=tables,
        arrows=ARROWS,
        at_floor=readings.AT_FLOOR,
        figures=figures,
        terms=terms.used(_words(told, tables, captions)),
        settings="\n".join(f"{key}: {value}" for key, value in summary["settings"].items()),
    )


def _cell(number: Number | None) -> Cell:
    if number is None:
        return Cell("")
    value, spread = f"{number.value:.2g}", f"[{number.low:.2g}, {number.high:.2g}]"
    return Cell(readings.AT_FLOOR, f"{value} {spread}") if readings.at_floor(number) else Cell(value, spread)


def _words(told: Told, tables: Sequence[Table], captions: dict[str, str]) -> str:
    """All text of the page that terms may stand in."""
    cells = [cell.text for table in tables for line in table.lines for cell in line]
    titles = [word for table in tables for word in (table.title, table.note, *table.heads)]
    return " ".join([told.verdict, *told.warnings, *told.notes, *titles, *cells, *captions.values()])


def _figure(path: Path, caption: str) -> dict[str, Any]:
    """What the template takes of a figure; a wide one is more than twice as wide as high, by the file's own header."""
    data, kind = path.read_bytes(), path.suffix[1:]
    width, height = struct.unpack("<HH", data[6:10]) if kind == "gif" else struct.unpack(">II", data[16:24])
    return {"caption": caption, "kind": kind, "data": base64.b64encode(data).decode(), "wide": width > 2 * height}
