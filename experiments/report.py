"""A self-contained HTML page of a run: tables, figures and what produced them."""

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.evaluation import Number
from experiments.runs import write_atomically

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 66rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .25rem .7rem; text-align: right }
th { border-bottom: 2px solid #888 } td { border-bottom: 1px solid #ddd }
td:first-child, th:first-child { text-align: left }
small { color: #666; display: block; white-space: nowrap } img { max-width: 100% }
"""

_FIGURES = {
    "samples.png": "Samples by number of steps. The exact mean is a perfect classical model: what it lacks, no training adds.",
    "mmd2.png": "Distance to the truth against steps. Dashed: the two oracles. Grey: not told from the truth.",
    "spread.png": "Spread of the learned posterior against the exact one.",
    "training.png": "Training curves: means over 100 steps.",
}
_METRICS = {
    "mmd2": "MMD², Gaussian kernel of bandwidth 1, U-statistic (may be negative)",
    "sliced_w2": "Sliced W₂, Euclidean ground cost, power 2, 64 projections",
}


def write(folder: Path, summary: dict[str, Any], numbers: Sequence[Number]) -> None:
    """Write report.html into `folder`, its figures embedded."""
    provenance = " · ".join(f"{key}: {value}" for key, value in summary["provenance"].items())
    body = [f"<h1>{summary['experiment'].replace('_', ' ')}</h1>", f"<p><small>{html.escape(provenance)}</small></p>"]
    for metric in dict.fromkeys(number.metric for number in numbers):
        body.append(_table([number for number in numbers if number.metric == metric], _METRICS[metric]))
    body.append(f"<p><small>In brackets: {html.escape(summary['interval'])}.</small></p>")
    for name, shares in summary["gap_closed"].items():
        told = ", ".join(f"{steps}: {100 * share:.2f} %" for steps, share in shares.items())
        body.append(f"<p>Gap closed between the exact mean and the floor by {html.escape(name)}, by steps: {told}.</p>")
    for name, curve in summary["spread"].items():
        error = 100 * curve["mean_error"]
        body.append(
            f"<p>Posterior spread of {html.escape(name)}: off by {error:.1f} % on average over t in [.2, .95].</p>"
        )
    body += [_figure(folder / name, caption) for name, caption in _FIGURES.items() if (folder / name).exists()]
    settings = "\n".join(f"{key}: {value}" for key, value in summary["settings"].items())
    body.append(f"<h2>Settings</h2><pre>{html.escape(settings)}</pre>")
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>ddjax report</title><style>{_STYLE}</style>'
    write_atomically(folder / "report.html", head + "\n".join(body) + "</html>\n")


def _table(numbers: Sequence[Number], title: str) -> str:
    steps = sorted({number.nfe for number in numbers})
    rows = ["<tr><th>model</th><th>churn</th>" + "".join(f"<th>{n}</th>" for n in steps) + "</tr>"]
    for model in dict.fromkeys(number.model for number in numbers):
        of_model = [number for number in numbers if number.model == model]
        for churn in sorted({number.churn for number in of_model}):
            cells = {number.nfe: number for number in of_model if number.churn == churn or number.nfe == 1}
            shown = "".join(_cell(cells.get(n)) for n in steps)
            rows.append(f"<tr><td>{html.escape(model)}</td><td>{churn:g}</td>{shown}</tr>")
    one = numbers[0]
    floor = f"floor {one.floor:.1e} ± {one.floor_std:.1e} (two fresh samples of the truth)"
    return f"<h2>{html.escape(title)}</h2><p>{floor}; columns are steps</p><table>{''.join(rows)}</table>"


def _cell(number: Number | None) -> str:
    if number is None:
        return "<td></td>"
    return f"<td>{number.value:.2g}<small>[{number.low:.2g}, {number.high:.2g}]</small></td>"


def _figure(path: Path, caption: str) -> str:
    data, caption = base64.b64encode(path.read_bytes()).decode(), html.escape(caption)
    image = f'<img alt="{caption}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"
