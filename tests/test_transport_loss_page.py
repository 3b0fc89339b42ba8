"""docs/transport_loss.md says what the stored runs say."""

import json
from pathlib import Path

import pytest

from ddjax import judging
from experiments.ot_loss import models as gap_models

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/transport_loss.md").read_text()
STORED = json.loads((ROOT / "docs/results/ot_loss.json").read_text())


def by_model(metric):
    """Medians and ranges over seeds, models by steps."""
    rows = [row for row in STORED["numbers"] if row["metric"] == metric]
    steps = sorted({row["nfe"] for row in rows})
    lines = []
    for model in dict.fromkeys(row["model"] for row in rows):
        cells = {
            row["nfe"]: f"{row['value']:.3g} [{row['low']:.3g}, {row['high']:.3g}]"
            for row in rows
            if row["model"] == model
        }
        lines.append([model, *(cells[n] for n in steps)])
    return judging.markdown([metric, *(f"{n} step{'s' * (n > 1)}" for n in steps)], lines)


def by_blur():
    """Rank correlations, the share of the means, milliseconds, convergence."""
    names = [name for name in STORED["blurs"][0]["correlations"] if "held-out" not in name]
    lines = []
    for row in STORED["blurs"]:
        means = sum(row["limits"][name] / row["divergence"][name] for name in row["limits"]) / len(row["limits"])
        correlations = [f"{row['correlations'][name]:+.3f}" for name in names]
        lines.append(
            [
                f"{row['blur']:g}",
                *correlations,
                f"{100 * means:.0f} %",
                f"{1e3 * row['seconds']:.1f}",
                f"{100 * row['converged']:.0f} %",
            ]
        )
    return judging.markdown(["blur / median distance", *names, "by means alone", "ms a call", "converged"], lines)


@pytest.mark.parametrize(
    "table", [by_model("ratio"), by_model("frechet test"), by_blur()], ids=["ratio", "frechet", "blurs"]
)
def test_tables_are_the_stored_runs(table):
    """Mutation: any digit of either."""
    assert table in PAGE


def test_the_glyphs_are_the_stored_run():
    """Ratio and Frechet distance of the three models, one seed."""
    dit, _ = STORED["glyphs"]
    told = {
        metric: [row["value"] for row in dit["numbers"] if row["metric"] == metric]
        for metric in ("ratio", "frechet test")
    }
    a, b, c = (f"{value:.1f}" for value in told["ratio"])
    assert f"has {a} passive, {b} with 400 steps more and {c} with them" in PAGE
    assert " / ".join(f"{value:,.0f}" for value in told["frechet test"]) in PAGE
    assert dit["command"].removesuffix(" --blurs") in PAGE


def test_the_results_page_says_what_the_stored_runs_say():
    """Medians at 50 steps. Mutation: any digit of either."""
    results = " ".join((ROOT / "docs/results.md").read_text().split())
    at_50 = {row["model"]: row["value"] for row in STORED["numbers"] if row["metric"] == "ratio" and row["nfe"] == 50}
    longer, late, equal = (at_50[name] for name in ("passive-longer", "late-blur.3", "retrain-equal-blur10"))
    assert f"gap from {longer:.1f} to {late:.1f} times that of training images" in results
    assert round(equal / longer) == 4 and "makes the gap four times larger" in results


def test_every_preset_has_been_run_with_three_seeds():
    models = {row["model"] for row in STORED["numbers"]}
    assert models >= {"passive", *gap_models.PRESETS} and all(row["seeds"] == 3 for row in STORED["numbers"])
    assert all(run["command"].startswith("python -m experiments.ot_loss") for run in STORED["runs"])
