"""The tables and the figure of `experiments.anisotropic_flow`."""

from typing import Any

from matplotlib.figure import Figure

from experiments.anisotropic_flow.evaluate import TIMES
from experiments.common import report
from experiments.common.figures import COLORS
from experiments.common.readings import LOWER
from experiments.common.runner import Findings

Found = dict[str, dict[str, dict[str, Any]]]  # flow -> coupling -> what was measured


def findings(found: Found, independent: str, target: float) -> Findings:
    """All that the runner writes and prints."""
    notes = []
    for flow, of in found.items():
        error = of[independent]["overall"]
        others = "; ".join(f"with {name} {one['overall']:.2f}" for name, one in of.items() if name != independent)
        verdict = "below" if error < target else "MISSED: not below"
        notes.append(
            f"{flow}: relative L2 error {error:.3f} with independent pairs ({verdict} {target:g}), whose minimiser is the pfODE "
            f"velocity; {others}, whose minimiser is another."
        )
    notes.append(
        "At late times the preserving flow is at its Gaussian, which stands still: the velocity vanishes, and what is relative to "
        "it grows without end. Transport keeps both ends and widens the path between them, whose law is then not that of the pfODE."
    )
    caption = (
        "Left: relative L2 difference of the learned velocity from that of the probability-flow ODE. Right: variance of the "
        "coupled path in units of the inflationary one; 1 where the marginals can be the same."
    )
    return Findings(
        numbers=[],
        titles={},
        interval="",
        summary={"times": TIMES, "flows": found},
        figures={"velocities.png": (by_time(found), caption)},
        verdict=notes[0],
        notes=notes[1:],
        tables=[errors(found), paths(found)],
    )


def errors(found: Found) -> report.Table:
    """Relative errors by time and overall."""
    lines = [
        [f"{flow}, {name}", *(f"{error:.3f}" for error in one["by_time"]), f"{one['overall']:.3f}"]
        for flow, of in found.items()
        for name, one in of.items()
    ]
    sizes = [
        [f"{flow}: rms of the pfODE velocity", *(f"{size**0.5:.2g}" for size in next(iter(of.values()))["size"]), ""]
        for flow, of in found.items()
    ]
    heads = ["flow, pairs", *(f"t = {t:g}" for t in TIMES), "all times"]
    return report.plain("Relative L2 error against the pfODE velocity, two moons", heads, [*lines, *sizes], LOWER)


def paths(found: Found) -> report.Table:
    """What transport does to the path, and that its ends are the same."""

    def end(one: dict[str, Any]) -> str:
        mean, std = one["floor"]
        return f"{one['mmd2']:.1e} (floor {mean:.0e} ± {std:.0e})"

    lines = [
        [f"{flow}, {name}", *(f"{value:.2f}" for value in one["spread"]), end(one)]
        for flow, of in found.items()
        for name, one in of.items()
    ]
    heads = ["flow, pairs", *(f"t = {t:g}" for t in TIMES), "MMD² of generated points"]
    return report.plain(
        "Variance of x_t in units of the inflationary path, and the end of the learned flow",
        heads,
        lines,
        "closer to 1; MMD²: lower",
    )


def by_time(found: Found) -> Figure:
    """Errors and spreads of each flow."""
    figure = Figure(figsize=(4.4 * 2, 3.0 * len(found)), layout="constrained")
    axes = figure.subplots(len(found), 2, squeeze=False)
    for row, (flow, of) in zip(axes, found.items(), strict=True):
        for color, (name, one) in zip(COLORS, of.items(), strict=False):
            row[0].plot(TIMES, one["by_time"], marker="o", markersize=3, color=color, label=name)
            row[1].plot(TIMES, one["spread"], marker="o", markersize=3, color=color, label=name)
        row[0].axhline(0.1, color="0.5", linestyle=":")
        row[0].set(xscale="log", yscale="log", xlabel="t", ylabel=f"{flow}\nrelative L2 error")
        row[1].set(xscale="log", xlabel="t", ylabel="variance of $x_t$, relative", ylim=(0, None))
    axes[0][0].legend(fontsize=8, frameon=False)
    return figure
