"""Tables and figures of `experiments.inverse_problems`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.common import conditioning_report as conditionings
from experiments.common import figures, report
from experiments.common.conditioning import RIGHT
from experiments.common.runner import Findings
from experiments.inverse_problems.coverages import LEVELS, SAMPLES

LEVEL_HEADS = tuple(f"{100 * level:.0f} %" for level in LEVELS)
HEADS = ("given y by", "evaluations", *LEVEL_HEADS, "ranks' p", "spread-skill", "energy score", "misfit")
SWEEP_HEADS = ("draws", *(figures.steps_of(n) for n in (1, 2, 4, 8)))
NOISE_HEADS = ("noise", "given y by", *LEVEL_HEADS, "energy score", "effective size")
BETTER = "coverage: closer to its level; energy score: lower; spread-skill and misfit: closer to 1; p: not near 0"
MIDDLE = LEVELS.index(0.8)
SHOWN = 10  # digits of a figure


def lines(ways: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """A row of words for each way, from numbers or from the same in JSON."""
    return [
        [
            name + (f" (scale {of['scale']:g})" if "scale" in of else ""),
            f"{of['evaluations']:,}",
            *_coverage(of),
            f"{of['pvalue']:.1g}",
            f"{of['spread_skill']:.2f}",
            _energy(of),
            f"{of['misfit']:.2f}",
        ]
        for name, of in ways.items()
    ]


def swept(sweep: Mapping[Any, Mapping[Any, Mapping[str, Any]]]) -> list[list[str]]:
    """Coverage of 80 % and energy score, a row for each M."""
    return [
        [str(m), *(f"{100 * of['coverage'][MIDDLE]:.0f} %, {of['energy']:.2f}" for of in by_steps.values())]
        for m, by_steps in sweep.items()
    ]


def by_noise(noise: Mapping[Any, Mapping[str, Any]], effective: Mapping[Any, list[float]]) -> list[list[str]]:
    """The ways with many evaluations at each level of noise, with the effective sizes of the draws along the steps."""
    found = []
    for level in sorted(noise, key=float):
        for name, of in noise[level].items():
            if of["evaluations"] > 100:
                drawn = name.endswith("steps") and name.split()[1] == "draws,"
                sizes = ", ".join(f"{size:.1f}" for size in effective[level]) if drawn else ""
                found.append([f"{float(level):g}", name, *_coverage(of), _energy(of), sizes])
    return found


def _coverage(of: Mapping[str, Any]) -> list[str]:
    pairs = zip(of["coverage"], of["coverage_error"], strict=True)
    return [f"{100 * value:.0f} ± {100 * error:.0f}" for value, error in pairs]


def _energy(of: Mapping[str, Any]) -> str:
    return f"{of['energy']:.2f} ± {of['energy_error']:.2f}"


def pictures(shown: Mapping[str, np.ndarray]) -> Figure:
    """Truth, measurement, and two samples of every way, a column for each digit."""
    rows = {name: shown[name][:SHOWN] for name in ("truth", "measured")}
    for name, x in shown.items():
        if name not in rows:
            rows |= {name: x[:SHOWN, 0], " " * len(rows): x[:SHOWN, 1]}
    return figures.grid(rows)


def curves(found: Mapping[str, Any], noise: float) -> Figure:
    """Coverage against its level, an axis for each problem."""
    figure = Figure(figsize=(3.1 * len(found) + 0.6, 4.0), layout="constrained")
    axes = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for axis, (name, of) in zip(axes, found.items(), strict=True):
        axis.plot([0.4, 1], [0.4, 1], color="0.6", linestyle="--", label="calibrated")
        for i, (way, judged) in enumerate(of["noise"][noise].items()):
            style = {"color": figures.COLORS[i % len(figures.COLORS)], "marker": "o", "markersize": 3, "capsize": 2}
            axis.errorbar(LEVELS, judged["coverage"], judged["coverage_error"], label=way, **style)
        axis.set(title=name, xlabel="probability of the interval")
    axes[0].set_ylabel("share of hidden pixels inside")
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, fontsize=7, frameon=False, loc="outside lower center", ncols=4)
    return figure


def verdict(name: str, ways: Mapping[str, Mapping[str, Any]]) -> str:
    """Which intervals of one problem cover best, and which worst."""
    asked = LEVELS[MIDDLE]
    covered = {way: of["coverage"][MIDDLE] for way, of in ways.items()}
    best, *_, worst = sorted(covered, key=lambda way: abs(covered[way] - asked))
    told = f"{name.capitalize()}: intervals of {100 * asked:.0f} % cover {100 * covered[best]:.0f} % by {best}"
    return f"{told}, {100 * covered[worst]:.0f} % by {worst}"


def findings(
    found: dict[str, Any], mixture: dict[str, dict[int, Any]], shown: dict[str, dict[str, np.ndarray]], noise: float
) -> Findings:
    """All that the runner writes and prints."""
    of_mixture = {name: {str(k): list(one) for k, one in of.items()} for name, of in mixture.items()}
    drawn = {"coverage.png": (curves(found, noise), "Coverage of central intervals, with standard errors over digits.")}
    tables = []
    for name, of in found.items():
        title = f"{name.capitalize()}, noise {noise:g}"
        drawn[f"{name}.png"] = (pictures(shown[name]), f"{title}: two samples of every way below each other.")
        tables += [
            report.plain(
                f"{title}: coverage of central intervals of hidden pixels, in %",
                HEADS,
                lines(of["noise"][noise]),
                BETTER,
            ),
            report.plain(f"{title}: coverage of 80 % and energy score", SWEEP_HEADS, swept(of["sweep"]), BETTER),
            report.plain(f"{name.capitalize()}, by noise", NOISE_HEADS, by_noise(of["noise"], of["effective"]), BETTER),
        ]
    tables.append(
        report.plain(
            f"Two Gaussians: share of the component at y, exact {RIGHT:.3f}",
            conditionings.HEADS,
            conditionings.lines(of_mixture, "share"),
            "closer to the exact share is better",
        )
    )
    return Findings(
        numbers=[],
        titles={},
        interval="",
        summary={"problems": _as_json(found), "mixture": of_mixture},
        figures=drawn,
        verdict=". ".join(verdict(name, of["noise"][noise]) for name, of in found.items()),
        notes=[
            f"{SAMPLES} samples of each digit; ± is the standard error over digits; scales were tuned on other digits"
        ],
        tables=tables,
    )


def _as_json(value: Any) -> Any:
    """Keys as words."""
    return {str(key): _as_json(of) for key, of in value.items()} if isinstance(value, dict) else value
