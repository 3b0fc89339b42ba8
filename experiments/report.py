"""Self-contained HTML pages of runs: the pieces that every report is made of."""

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.numbers import Number, has_churn, rows, told_floor
from experiments.runs import write_atomically

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 66rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .25rem .7rem; text-align: right }
th { border-bottom: 2px solid #888 } td { border-bottom: 1px solid #ddd }
td:first-child, th:first-child { text-align: left }
small { color: #666; display: block } td small { white-space: nowrap } img { max-width: 100% }
"""


def page(folder: Path, summary: dict[str, Any], body: Sequence[str]) -> None:
    """Write report.html into `folder`: what was run, where, `body`, and the settings."""
    provenance = " · ".join(f"{key}: {value}" for key, value in summary["provenance"].items())
    title = summary["experiment"].replace("_", " ")
    settings = "\n".join(f"{key}: {value}" for key, value in summary["settings"].items())
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>',
        f"<h1>{title}</h1>",
        f"<p><small>{html.escape(provenance)}</small></p>",
        *body,
        f"<h2>Settings</h2><pre>{html.escape(settings)}</pre></html>\n",
    ]
    write_atomically(folder / "report.html", "\n".join(parts))


def heading(text: str) -> str:
    """A section's title."""
    return f"<h2>{html.escape(text)}</h2>"


def paragraph(text: str, *, small: bool = False) -> str:
    """A sentence or two; small print where it explains a table."""
    text = html.escape(text)
    return f"<p><small>{text}</small></p>" if small else f"<p>{text}</p>"


def number_table(numbers: Sequence[Number], title: str) -> str:
    """One metric, models by steps: values with the range of their draws, and the floor."""
    steps = sorted({number.nfe for number in numbers})
    heads = ["model", *["churn"] * has_churn(numbers), *map(str, steps)]
    lines = ["<tr>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr>"]
    for names, cells in rows(numbers):
        told = "".join(f"<td>{html.escape(name)}</td>" for name in names)
        lines.append(f"<tr>{told}{''.join(_cell(cells.get(n)) for n in steps)}</tr>")
    what = "training against held-out data" if numbers[0].floor_std is None else "two fresh samples of the truth"
    floor = f"floor {told_floor(numbers[0])} ({what})"
    return f"{heading(title)}<p>{floor}; columns are steps</p><table>{''.join(lines)}</table>"


def plain_table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Words and numbers as they are."""
    cells = [f"<tr>{''.join(f'<td>{html.escape(word)}</td>' for word in line)}</tr>" for line in lines]
    return f"<table><tr>{''.join(f'<th>{html.escape(head)}</th>' for head in heads)}</tr>{''.join(cells)}</table>"


def figures(folder: Path, captions: dict[str, str]) -> list[str]:
    """The figures of `folder` (PNG or GIF) that exist, embedded, in the order of their captions."""
    return [_figure(folder / name, caption) for name, caption in captions.items() if (folder / name).exists()]


def _cell(number: Number | None) -> str:
    if number is None:
        return "<td></td>"
    return f"<td>{number.value:.2g}<small>[{number.low:.2g}, {number.high:.2g}]</small></td>"


def _figure(path: Path, caption: str) -> str:
    data, caption = base64.b64encode(path.read_bytes()).decode(), html.escape(caption)
    image = f'<img alt="{caption}" src="data:image/{path.suffix[1:]};base64,{data}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"
