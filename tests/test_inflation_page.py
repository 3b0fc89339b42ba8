"""docs/inflation.md says what the stored runs say."""

import json
from pathlib import Path

import numpy as np

from ddjax import judging
from experiments.anisotropic_flow import report as velocities
from experiments.inflation.evaluate import WAYS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/inflation.md").read_text()
PROSE = " ".join(PAGE.split())
STORED = json.loads((ROOT / "docs/results/inflation.json").read_text())
TOYS = {name: run for name, run in STORED.items() if not name.startswith("digits")}


def cell(run, model, steps):
    """A stored number of one model."""
    (found,) = (row for row in run["numbers"] if row["model"] == model and row["nfe"] == steps)
    return found


def worst(of_seeds):
    """Largest departure from the chi law: of the mean over seeds, and of any seed."""
    values = np.array([[of["departures"][way] for way in WAYS] for of in of_seeds])
    return np.abs(values.mean(0)).max(), np.abs(values).max()


def toys():
    """A row for each toy and flow."""
    heads = [
        "toy",
        "flow",
        "seeds",
        "W₁",
        "floor",
        "PCA's Gaussian",
        "round-trip error",
        "worst departure, points (any seed)",
    ]
    lines = []
    for name, run in TOYS.items():
        steps = max(run["settings"]["nfe"])
        for model, seeds in run["judged"].items():
            made, plain = cell(run, model, steps), cell(run, "PCA's Gaussian of 2 (no training)", steps)
            off = worst(seeds)
            lines.append(
                [
                    name,
                    model,
                    str(len(seeds)),
                    f"{made['value']:.3f} [{made['low']:.3f}, {made['high']:.3f}]",
                    f"{made['floor']:.3f} ± {made['floor_std']:.3f}",
                    f"{plain['value']:.3f}",
                    f"{max(of['full'] for of in seeds):.0e}",
                    f"{off[0]:.1f} ({off[1]:.1f})",
                ]
            )
    return judging.markdown(heads, lines)


def densities():
    """Mean log-likelihood of fresh points by toy and flow, and the largest correlation of innovations."""
    heads = [
        "toy",
        "flow",
        "log-likelihood, nats",
        "standard error",
        "PCA's Gaussian",
        "innovations correlated at most",
    ]
    lines = []
    for name, run in TOYS.items():
        for model, seeds in run["judged"].items():
            means = [of["likelihood"]["mean"] for of in seeds]
            told = f"{np.median(means):.3f} [{min(means):.3f}, {max(means):.3f}]"
            first, innovations = seeds[0]["likelihood"], "innovations along the process"
            off = max(of["correlated"][innovations] for of in seeds)
            lines.append([name, model, told, f"{first['error']:.3f}", f"{first['gaussian']:.3f}", f"{off:.3f}"])
    return judging.markdown(heads, lines)


def digits(name):
    """Fréchet distance and round-trip errors, a row for each model; then PCA's Gaussians."""
    run = STORED[name]
    steps = max(run["settings"]["nfe"])
    heads = ["flow", "Fréchet", "from the kept latents alone", "round-trip error", "from the kept latents alone"]
    lines = []
    for model, seeds in run["judged"].items():
        alone = f"{model}: the kept latents alone"
        kept = f"{cell(run, alone, steps)['value']:.4g}" if seeds[0]["kept"] is not None else ""
        error = f"{seeds[0]['kept']:.3g}" if seeds[0]["kept"] is not None else ""
        lines.append([model, f"{cell(run, model, steps)['value']:.4g}", kept, f"{seeds[0]['full']:.1e}", error])
    plain = [row for row in run["numbers"] if row["model"].startswith("PCA")]
    lines += [[row["model"], "", f"{row['value']:.4g}", "", ""] for row in plain]
    return judging.markdown(heads, lines)


def test_the_tables_are_the_stored_runs():
    """Mutation: any digit of either."""
    assert toys() in PAGE and densities() in PAGE
    for name in STORED:
        if name.startswith("digits"):
            assert digits(name) in PAGE


def test_every_run_tells_its_command_and_the_page_too():
    """Mutation: a run of other settings stored in the place of the one told."""
    for run in STORED.values():
        assert run["provenance"]["command"].split(" --out")[0] in PAGE


def test_what_the_page_says_of_all_toys():
    """Round-trip errors below 1e-2 everywhere; every flow nearer to the data than PCA's Gaussian."""
    for run in TOYS.values():
        steps = max(run["settings"]["nfe"])
        for model, seeds in run["judged"].items():
            assert max(of["full"] for of in seeds) < 1e-2
            assert cell(run, model, steps)["value"] < cell(run, "PCA's Gaussian of 2 (no training)", steps)["value"]
        bent = cell(run, "keep 1, gap 1: the kept latents alone", steps)["value"]
        assert bent < cell(run, "PCA's Gaussian of 1 (no training)", steps)["value"]


INFERRED = json.loads((ROOT / "docs/results/inflation_inference.json").read_text())


def inferred():
    """A row for each way that the observations went: posterior, and its calibration over many runs."""
    heads = [
        "observations",
        "posterior mean",
        "95 % intervals",
        "truth inside",
        "calibration: p, Bonferroni over 3 weights",
    ]
    lines = []
    for way, of in INFERRED["posteriors"].items():
        means = ", ".join(f"{value:.2f}" for value in of["mean"])
        bounds = ", ".join(f"{low:.2f} to {high:.2f}" for low, high in zip(of["low"], of["high"], strict=True))
        told = INFERRED["calibration"].get(way)
        lines.append([way, means, bounds, "yes" if of["inside"] else "no", f"{told['bonferroni']:.2f}" if told else ""])
    return judging.markdown(heads, lines)


def test_the_posteriors_are_the_stored_run():
    """Mutation: any digit of either."""
    assert inferred() in PAGE
    assert f"{INFERRED['settings']['runs']} runs" in PAGE and f"{INFERRED['settings']['n']} observations" in PAGE
    calibrated = INFERRED["calibration"].values()
    assert min(of["bonferroni"] for of in calibrated) > 0.05


LEARNED = json.loads((ROOT / "docs/results/anisotropic_flow.json").read_text())


def test_the_velocities_are_the_stored_run():
    """Errors and spreads by time. Mutation: any digit of either."""
    for table in (velocities.errors(LEARNED["flows"]), velocities.paths(LEARNED["flows"])):
        assert judging.markdown(table.heads, [[cell.text for cell in line] for line in table.lines]) in PAGE
    assert max(of["independent"]["overall"] for of in LEARNED["flows"].values()) < 0.1
    assert LEARNED["times"] == list(velocities.TIMES)


def short(value, digits):
    """.097 for 0.097."""
    return f"{value:.{digits}f}".lstrip("0")


def test_times_and_sentences_are_those_of_the_stored_runs():
    """Seconds, ratios and the numbers of docs/results.md. Mutation: any of them."""
    for run in (*TOYS.values(), LEARNED):
        assert f"{run['seconds']['total']:.0f}" in PAGE
    for run in TOYS.values():
        steps = max(run["settings"]["nfe"])
        plain = cell(run, "PCA's Gaussian of 2 (no training)", steps)["value"]
        made = [cell(run, model, steps) for model in run["judged"]]
        assert all(2 < plain / of["value"] < 4.5 and of["value"] <= 2 * of["floor"] for of in made)
        assert all(worst(seeds)[1] < 2 for seeds in run["judged"].values())
    moons = TOYS["moons"]
    steps = max(moons["settings"]["nfe"])
    bent = cell(moons, "keep 1, gap 1: the kept latents alone", steps)["value"]
    straight = cell(moons, "PCA's Gaussian of 1 (no training)", steps)["value"]
    assert f"W₁ {bent:.2f} on moons" in PROSE and f"straight line ({straight:.2f})" in PROSE
    results = " ".join((ROOT / "docs/results.md").read_text().split())
    made = cell(moons, "preserving", steps)
    assert f"W₁ {short(made['value'], 3)}, floor {short(made['floor'], 3)} ± {short(made['floor_std'], 3)}" in results
    assert max(of["full"] for seeds in moons["judged"].values() for of in seeds) <= 1e-6 and "costs 1e-6" in results
    assert f"within {max(worst(seeds)[1] for seeds in moons['judged'].values()):.1f} points" in results
