"""Tables and figures of `experiments.inflation_inference`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.stats
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.common import report
from experiments.common.figures import COLORS
from experiments.common.runner import Findings
from experiments.inflation_inference.evaluate import Distorted, Posterior, Uniformity, bonferroni, summarised


def findings(
    shown: dict[str, np.ndarray],
    errors: dict[str, float],
    calibrated: dict[str, list[Uniformity]],
    ranks: dict[str, np.ndarray],
    balls: dict[str, Distorted],
    *,
    truth: Sequence[float],
    kept: int,
    n: int,
    level: float,
) -> Findings:
    """All that the runner writes and prints."""
    summaries = {name: summarised(draws) for name, draws in shown.items()}
    known = np.array(truth)
    summary = {
        "posteriors": {
            name: {
                "mean": of.mean.round(4).tolist(), "low": of.low.round(4).tolist(), "high": of.high.round(4).tolist(),
                "inside": of.holds(known), "rhat": round(of.rhat, 4), "effective": round(of.effective),
            }
            for name, of in summaries.items()
        },
        "round_trip_errors": errors,
        "calibration": {
            name: {"ks": [w.ks for w in of], "chi2": [w.chi2 for w in of], "inside": [w.inside for w in of],
                   "bonferroni": bonferroni(of)}
            for name, of in calibrated.items()
        },
        "all_together": bonferroni([weight for of in calibrated.values() for weight in of]),
        "balls": {
            name: {
                way: [[[float(s) for s in stds] for stds in (ball.stds_before, ball.stds_after)] for ball in found]
                for way, found in (("up", of.up), ("down", of.down))
            }
            for name, of in balls.items()
        },
    }  # fmt: skip
    figures = {
        "posteriors.png": (
            densities(shown, known),
            "Posterior densities of the three weights; dotted: the truth. Where nothing is lost the curves of the round trips lie "
            "on that of the data; generated data are others, with a posterior of their own.",
        ),
        "ranks.png": (
            histograms(ranks, kept),
            "Ranks of weights from the prior among draws from their posteriors; grey: where 95 % of the bars of a uniform law lie.",
        ),
        "balls.png": (
            distorted(balls),
            "Two moons. Left: two balls among the data, and where a flow takes them; right: two balls among the latents, in units "
            "of the prior, and the data that they stand for.",
        ),
    }
    outside = [name for name, of in summaries.items() if not of.holds(known)]
    rejected = [name for name, of in calibrated.items() if bonferroni(of) < level]
    everything = [weight for of in calibrated.values() for weight in of]
    together = bonferroni(everything)
    notes = [
        f"({', '.join(f'{w:g}' for w in truth)}) lies in every 95 % interval for {len(summaries) - len(outside)} of "
        f"{len(summaries)} data sets" + (f"; not for: {'; '.join(outside)}." if outside else "."),
        f"Uniform ranks are {'' if together < level else 'not '}rejected at p = {level:g}: the least of {len(everything)} p-values "
        f"(Kolmogorov and Smirnov) is {min(of.ks for of in everything):.3f}, with Bonferroni's correction for all {together:.2f}. "
        f"With that for the {len(truth)} weights alone, {len(rejected)} of {len(calibrated)} kinds of data are rejected"
        + (f": {'; '.join(rejected)}." if rejected else "."),
        "Root mean squared errors, in standard deviations of the data: "
        + "; ".join(f"{name} {error:.1e}" for name, error in errors.items()) + ".",
    ]  # fmt: skip
    tables = [intervals(summaries, known, n), calibration(calibrated, len(next(iter(ranks.values())))), shapes(balls)]
    return Findings([], {}, "", summary, figures, notes[1:], tables, verdict=notes[0])


def intervals(summaries: dict[str, Posterior], truth: np.ndarray, n: int) -> report.Table:
    """Posterior means and central 95 % of every weight, by data set."""
    lines = [
        [
            name,
            *(f"{m:.3f} [{low:.3f}, {high:.3f}]" for m, low, high in zip(of.mean, of.low, of.high, strict=True)),
            "yes" if of.holds(truth) else "no",
            f"{of.rhat:.3f}",
            f"{of.effective:.0f}",
        ]
        for name, of in summaries.items()
    ]
    heads = [
        "data",
        *(f"w_{k + 1} (truth {w:g})" for k, w in enumerate(truth)),
        "truth inside",
        "R-hat",
        "effective draws",
    ]
    return report.plain(
        f"Posterior of the weights, mean and central 95 %, from n = {n:,} observations",
        heads,
        lines,
        "truth inside, R-hat near 1",
    )


def calibration(calibrated: dict[str, list[Uniformity]], runs: int) -> report.Table:
    """p-values of the ranks, by data."""
    lines = [
        [
            name,
            " / ".join(f"{w.ks:.2f}" for w in of),
            f"{bonferroni(of):.2f}",
            " / ".join(f"{w.chi2:.2f}" for w in of),
            " / ".join(f"{100 * w.inside:.0f} %" for w in of),
        ]
        for name, of in calibrated.items()
    ]
    heads = [
        "data",
        "p of each weight (KS)",
        "Bonferroni",
        "p of each weight (chi-square, 10 bins)",
        "truth in the central 95 %",
    ]
    return report.plain(
        f"Simulation-based calibration over {runs} runs for each kind of data",
        heads,
        lines,
        "p: not near 0; coverage: closer to 95 %",
    )


def shapes(balls: dict[str, Distorted]) -> report.Table:
    """Principal standard deviations of the balls before and after."""
    lines = [
        [f"{name}, {way}, ball {i + 1}", *(" x ".join(f"{s:.3f}" for s in of) for of in (ball.stds_before, ball.stds_after)),
         f"{ball.stds_after[0] / ball.stds_after[1]:.1f}"]
        for name, found in balls.items()
        for way, of in (("data to latents", found.up), ("latents to data", found.down))
        for i, ball in enumerate(of)
    ]  # fmt: skip
    heads = ["flow of two moons", "stds before", "stds after", "long over short"]
    return report.plain("Small balls through the flows (latents in units of the prior)", heads, lines)


def densities(shown: dict[str, np.ndarray], truth: np.ndarray) -> Figure:
    """A panel for each weight."""
    figure = Figure(figsize=(3.4 * len(truth), 3.6), layout="constrained")
    axes = figure.subplots(1, len(truth))
    for k, (axis, known) in enumerate(zip(axes, truth, strict=True)):
        flat = {name: draws[..., k].reshape(-1) for name, draws in shown.items()}
        grid = np.linspace(min(of.min() for of in flat.values()), max(of.max() for of in flat.values()), 200)
        for i, (name, of) in enumerate(flat.items()):
            style = {"color": COLORS[i % len(COLORS)], "linestyle": "--" if "fresh" in name else "-"}
            axis.plot(grid, scipy.stats.gaussian_kde(of)(grid), label=name, linewidth=1.2, **style)
        axis.axvline(known, color="0.5", linestyle=":")
        axis.set(xlabel=f"$w_{k + 1}$", yticks=[])
    axes[0].set_ylabel("posterior density")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=7, frameon=False)
    return figure


def histograms(ranks: dict[str, np.ndarray], kept: int, *, bins: int = 10) -> Figure:
    """A row for each kind of data, a column for each weight."""
    runs, k = next(iter(ranks.values())).shape
    figure = Figure(figsize=(2.6 * k, 1.35 * len(ranks) + 0.4), layout="constrained")
    axes = figure.subplots(len(ranks), k, sharex=True, sharey=True, squeeze=False)
    low, high = scipy.stats.binom.ppf([0.025, 0.975], runs, 1 / bins)
    for row, (name, of) in zip(axes, ranks.items(), strict=True):
        for axis, column in zip(row, of.T, strict=True):
            axis.axhspan(low, high, color="0.88")
            axis.hist(
                (column + 0.5) / (kept + 1), bins, range=(0, 1), color=COLORS[0], edgecolor="white", linewidth=0.4
            )
        row[0].set_ylabel(name.replace(", ", ",\n"), fontsize=7)
    for i, axis in enumerate(axes[0]):
        axis.set_title(f"$w_{i + 1}$", fontsize=9)
    for axis in axes[-1]:
        axis.set_xlabel("rank of the truth / draws", fontsize=8)
    return figure


def distorted(balls: dict[str, Distorted]) -> Figure:
    """A row for each flow: data, latents; latents, data."""
    figure = Figure(figsize=(10, 2.5 * len(balls)), layout="constrained")
    axes = figure.subplots(len(balls), 4, squeeze=False)
    for row, (name, found) in zip(axes, balls.items(), strict=True):
        for axis, cloud, clouds in (
            (row[0], found.points, [ball.before for ball in found.up]),
            (row[1], found.latents, [ball.after for ball in found.up]),
            (row[2], found.latents, [ball.before for ball in found.down]),
            (row[3], found.points, [ball.after for ball in found.down]),
        ):
            _scatter(axis, cloud, clouds)
        row[0].set_ylabel(name)
    for axis, title in zip(axes[0], ("balls in data", "their latents", "balls in latents", "their data"), strict=True):
        axis.set_title(title, fontsize=9)
    return figure


def _scatter(axis: Axes, cloud: np.ndarray, clouds: Sequence[Any]) -> None:
    axis.scatter(*cloud.T, s=1, color="0.75", linewidths=0, rasterized=True)
    for color, ball in zip(COLORS, clouds, strict=False):
        axis.scatter(*np.asarray(ball).T, s=2, color=color, linewidths=0, rasterized=True)
    axis.set(xticks=[], yticks=[], aspect="equal")
